import { spawnSync } from "node:child_process";
import { DdscError } from "../lib/errors.js";
import { packageVersion } from "../lib/model/version.js";
import type { DenoiserConfig } from "../lib/native.js";
import { type BenchOptions, peerArguments } from "./options.js";

/** One measurement, with the fields of the peer's rows. */
export interface BenchRow {
  readonly what: string;
  /** Whose figures they are: name and version. */
  readonly peer: string;
  readonly preset: string;
  readonly batch: number;
  readonly length: number;
  readonly dtype: string;
  readonly device: string;
  /** Median. */
  readonly seconds: number;
  readonly min: number;
  readonly max: number;
  readonly tokens_per_s: number;
  /** Model FLOP/s, 1e12. */
  readonly tflops?: number;
}

/** One thing to measure. */
export interface Subject {
  readonly what: string;
  readonly repeats: number;
  /** Model FLOPs of a run; left out where they are not known beforehand. */
  readonly flops?: number;
  run(): Promise<void>;
}

/**
 * Model FLOPs of one pass over `tokens` tokens in cells of `length`: two for each multiply-add with a weight of a
 * block or of the head, and those of attention; a training step takes three times as many.
 */
export function forwardFlops(config: DenoiserConfig, length: number, tokens: number): number {
  const weights = 12 * config.blocks * config.hidden ** 2 + config.vocabSize * config.hidden;
  return 2 * weights * tokens + 4 * config.blocks * config.hidden * length * tokens;
}

/**
 * Measures a subject after one run to warm up and prints its row; with `--peer`, the peer's row first, measured in
 * the same minute, and the ratio last.
 */
export async function bench(options: BenchOptions, subject: Subject): Promise<void> {
  const peer = options.peer === undefined ? undefined : measurePeer(options, options.peer, subject.what);
  if (peer !== undefined) print(peer, options.json);
  const row = await measure(options, subject);
  print(row, options.json);
  if (peer === undefined) return;
  const ratio = peer.seconds / row.seconds;
  if (options.json)
    console.log(JSON.stringify({ what: row.what, against: peer.peer, ratio: rounded(ratio, 3) }));
  else console.log(`${row.what}: ${ratio.toFixed(2)} times as fast as ${peer.peer}`);
}

async function measure(options: BenchOptions, { what, repeats, flops, run }: Subject): Promise<BenchRow> {
  await run();
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await run();
    times.push((performance.now() - start) / 1000);
  }
  times.sort((a, b) => a - b);
  const middle = [times[Math.floor((times.length - 1) / 2)], times[Math.floor(times.length / 2)]] as [
    number,
    number,
  ];
  const seconds = (middle[0] + middle[1]) / 2;
  return {
    what,
    peer: packageVersion,
    preset: options.preset,
    batch: options.batch,
    length: options.length,
    dtype: options.dtype,
    device: options.device,
    seconds: rounded(seconds, 4),
    min: rounded(times[0] ?? seconds, 4),
    max: rounded(times.at(-1) ?? seconds, 4),
    tokens_per_s: Math.round((options.batch * options.length) / seconds),
    ...(flops === undefined ? {} : { tflops: rounded(flops / seconds / 1e12, 3) }),
  };
}

function measurePeer(options: BenchOptions, command: string, what: string): BenchRow {
  const [program = "", ...words] = command.split(/\s+/).filter((word) => word !== "");
  const samplingSteps = what.startsWith("inpaint") ? options.samplingSteps : 0;
  const { status, stdout, error } = spawnSync(program, [...words, ...peerArguments(options, samplingSteps)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const rows = (stdout ?? "").split("\n").filter((line) => line.startsWith("{"));
  const row = rows.map((line) => JSON.parse(line) as BenchRow).find((one) => one.what === what);
  if (status === 0 && row !== undefined) return row;
  throw new DdscError(
    "BENCH_PEER",
    `--peer ${command}: ${error?.message ?? `it printed no row for "${what}"`}`,
  );
}

function print(row: BenchRow, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(row));
    return;
  }
  const speed = row.tflops === undefined ? "" : `, ${row.tflops} TFLOP/s`;
  console.log(
    `${row.what}, ${row.peer}, ${row.preset} ${row.batch} x ${row.length} ${row.dtype} on ${row.device}: ` +
      `${row.seconds} s (${row.min} to ${row.max}), ${row.tokens_per_s.toLocaleString("en-US")} tokens/s${speed}`,
  );
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
