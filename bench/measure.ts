import { packageVersion } from "../lib/base/version.js";
import type { BenchOptions } from "./options.js";
import { median, rounded, secondsOf } from "./statistics.js";
import { openSubject, type SubjectKind } from "./subjects.js";

/** One measurement, as `--json` prints it. */
interface BenchRow {
  readonly what: SubjectKind;
  /** Whose figures they are: name and version. */
  readonly program: string;
  readonly preset: string;
  readonly batch: number;
  readonly length: number;
  readonly dtype: string;
  readonly device: string;
  /** Median, least and most. */
  readonly seconds: number;
  readonly min: number;
  readonly max: number;
  readonly tokens_per_s: number;
  /** Model FLOP/s, 1e12. */
  readonly tflops?: number;
  /** Runs of the network a cell, where that is no matter of course. */
  readonly evaluations?: number;
}

/** Measures a subject `repeats` times after one run to warm up, and prints its row. */
export async function bench(
  what: SubjectKind,
  options: BenchOptions,
  repeats = options.repeats,
): Promise<void> {
  using subject = await openSubject(what, options);
  const evaluations = await subject.run();
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) times.push(await secondsOf(() => subject.run()));
  const seconds = median(times);
  const { preset, batch, length, dtype } = options;
  const row: BenchRow = {
    what,
    program: packageVersion(),
    preset,
    batch,
    length,
    dtype,
    device: subject.device,
    seconds: rounded(seconds, 4),
    min: rounded(Math.min(...times), 4),
    max: rounded(Math.max(...times), 4),
    tokens_per_s: Math.round((batch * length) / seconds),
    ...(subject.flops === undefined ? {} : { tflops: rounded(subject.flops / seconds / 1e12, 3) }),
    ...(evaluations === undefined ? {} : { evaluations: rounded(evaluations, 2) }),
  };
  console.log(options.json ? JSON.stringify(row) : inWords(row));
}

function inWords(row: BenchRow): string {
  const speed = row.tflops === undefined ? "" : `, ${row.tflops} TFLOP/s`;
  const runs = row.evaluations === undefined ? "" : `, ${row.evaluations} runs of the network a cell`;
  return (
    `${row.what}, ${row.program}, ${row.preset} ${row.batch} x ${row.length} ${row.dtype} on ${row.device}: ` +
    `${row.seconds} s (${row.min} to ${row.max}), ${row.tokens_per_s.toLocaleString("en-US")} tokens/s${speed}${runs}`
  );
}
