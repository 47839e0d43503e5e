import { parseArgs } from "node:util";
import { checkChoice, checkNumber, DdscError } from "../lib/errors.js";
import { type PresetName, presetNames } from "../lib/model/config.js";
import type { DType } from "../lib/native.js";

/** What the benchmarks take, with the defaults of the peer's. */
export interface BenchOptions {
  readonly preset: PresetName;
  readonly batch: number;
  readonly length: number;
  /** Genes of the vocabulary. */
  readonly genes: number;
  readonly dtype: DType;
  readonly device: string;
  readonly dropout: number;
  readonly repeats: number;
  readonly samplingSteps: number;
  /** Rows as JSON lines instead of text. */
  readonly json: boolean;
  /** Command that measures the peer; it is given the same options and prints rows of the same fields. */
  readonly peer: string | undefined;
}

const USAGE =
  "usage: npm run bench:train|bench:forward|bench:sample -- [--preset nano|tiny|small|medium] [--batch N] [--length N] " +
  "[--genes N] [--dtype fp32|bf16] [--device NAME] [--dropout P] [--repeats N] [--sampling-steps N] [--json] [--peer COMMAND]";

/** Reads the command line; ends the process with exit code 2 where it is wrong. */
export function readBenchOptions(): BenchOptions {
  try {
    const { values } = parseArgs({
      options: {
        preset: { type: "string", default: "tiny" },
        batch: { type: "string", default: "4" },
        length: { type: "string", default: "1024" },
        genes: { type: "string", default: "20000" },
        dtype: { type: "string", default: "bf16" },
        device: { type: "string", default: "cpu" },
        dropout: { type: "string", default: "0.1" },
        repeats: { type: "string", default: "5" },
        "sampling-steps": { type: "string", default: "32" },
        json: { type: "boolean", default: false },
        peer: { type: "string" },
      },
    });
    const whole = (name: "batch" | "length" | "genes" | "repeats" | "sampling-steps", min = 1) =>
      checkNumber(`--${name}`, Number(values[name]), { min, integer: true });
    return {
      preset: checkChoice("--preset", values.preset, presetNames),
      batch: whole("batch"),
      length: whole("length"),
      genes: whole("genes", 4),
      dtype: checkChoice("--dtype", values.dtype, ["fp32", "bf16"]),
      device: values.device,
      dropout: checkNumber("--dropout", Number(values.dropout), { min: 0, max: 0.9 }),
      repeats: whole("repeats"),
      samplingSteps: whole("sampling-steps"),
      json: values.json,
      peer: values.peer,
    };
  } catch (error) {
    if (!(error instanceof DdscError || error instanceof TypeError)) throw error;
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** The same options for the peer's command line. */
export function peerArguments(options: BenchOptions, samplingSteps: number): string[] {
  const shared = ["preset", "batch", "length", "genes", "dtype", "dropout", "repeats"] as const;
  return [
    ...shared.flatMap((name) => [`--${name}`, String(options[name])]),
    "--sampling-steps",
    String(samplingSteps),
  ];
}
