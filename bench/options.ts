import { parseArgs } from "node:util";
import { checkChoice, checkNumber, DdscError } from "../lib/base/errors.js";
import { presetNames } from "../lib/model/config.js";
import type { SubjectOptions } from "./subjects.js";

/** What the benchmarks of one subject take. */
export interface BenchOptions extends SubjectOptions {
  readonly repeats: number;
  /** Rows as JSON lines instead of text. */
  readonly json: boolean;
}

const USAGE =
  "usage: npm run bench:train|bench:forward|bench:sample -- [--preset nano|tiny|small|medium] [--batch N] [--length N] " +
  "[--genes N] [--dtype fp32|bf16] [--device NAME] [--dropout P] [--repeats N] [--sampling-steps N] [--json]";

/** Reads the command line; ends the process with exit code 2 where it is wrong. */
export function readBenchOptions(): BenchOptions {
  return orUsage(USAGE, () => {
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
      },
    });
    return {
      preset: checkChoice("--preset", values.preset, presetNames),
      batch: wholeOption("--batch", values.batch),
      length: wholeOption("--length", values.length),
      genes: wholeOption("--genes", values.genes, 4),
      dtype: checkChoice("--dtype", values.dtype, ["fp32", "bf16"]),
      device: values.device,
      dropout: checkNumber("--dropout", Number(values.dropout), { min: 0, max: 0.9 }),
      repeats: wholeOption("--repeats", values.repeats),
      samplingSteps: wholeOption("--sampling-steps", values["sampling-steps"]),
      json: values.json,
    };
  });
}

/** A whole number of the command line. Throws `ARGUMENT_RANGE`. */
export function wholeOption(name: string, value: string, min = 1): number {
  return checkNumber(name, Number(value), { min, integer: true });
}

/** What `read` makes of the command line; where it throws, the process ends with the message, `usage` and exit code 2. */
export function orUsage<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DdscError || error instanceof TypeError)) throw error;
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** Runs a benchmark; an error with a code ends it with that error's message and exit code 1. */
export async function orFail(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof DdscError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
