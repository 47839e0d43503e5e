import type { FileHandle } from "node:fs/promises";
import { readFull } from "../base/files.js";
import { isObject } from "../base/json.js";
import { openToRead } from "../base/regular_files.js";

/** What a validation says in a line of metrics; null: not a finite number. */
export interface ValidationLine {
  /** As `ValidationResult.nll`. */
  readonly nll: number | null;
  /** As `ValidationResult.crossEntropy`, which baselines are compared with. */
  readonly crossEntropy: number | null;
  /** As `ValidationResult.accuracy`; null of counts. */
  readonly accuracy: number | null;
}

/** A line of metrics: a step as `StepResult`, or a validation alone. Numbers that are missing or not finite are null. */
export interface MetricsLine {
  readonly step: number;
  readonly loss: number | null;
  readonly gradientNorm: number | null;
  readonly learningRate: number | null;
  readonly seconds: number | null;
  readonly tokensPerSecond: number | null;
  readonly epoch: number | null;
  readonly validation: ValidationLine | null;
}

/** What was read of a file of metrics. */
export interface MetricsRead {
  readonly lines: readonly MetricsLine[];
  /** Where the next reading goes on: the end of the last whole line, bytes. */
  readonly end: number;
}

/** Bytes that are read at a time, and of which a line may have at most: longer ones are left out. */
const CHUNK = 2 ** 20;

/** A line of metrics as text; undefined where it is none. */
export function parseMetricsLine(text: string): MetricsLine | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  return metricsLine(json);
}

/** A step, or what was read of one, as a line of metrics; undefined where it is none. */
export function metricsLine(json: unknown): MetricsLine | undefined {
  if (!isObject(json) || !Number.isSafeInteger(json.step) || (json.step as number) < 0) return undefined;
  const { loss, gradientNorm, learningRate, seconds, tokensPerSecond, epoch, validation } = json;
  return {
    step: json.step as number,
    loss: finite(loss),
    gradientNorm: finite(gradientNorm),
    learningRate: finite(learningRate),
    seconds: finite(seconds),
    tokensPerSecond: finite(tokensPerSecond),
    epoch: finite(epoch),
    validation: isObject(validation)
      ? {
          nll: finite(validation.nll),
          crossEntropy: finite(validation.crossEntropy),
          accuracy: finite(validation.accuracy),
        }
      : null,
  };
}

/**
 * The whole lines of a file of metrics from byte `start` on, which is 0 or an `end` that was returned before; of a run under way it
 * may be called again and again. Lines that are no metrics are left out. A file that became shorter than `start`, as one of a run that
 * was resumed from an earlier step, is read from its beginning (`end` is then below `start`). One that has grown again since goes on
 * with a step that was read before: what came after that step was undone. Throws as `openToRead`.
 *
 * @param most bytes that are read at most, at least a mebibyte: the lines after them are for the next reading
 */
export async function readMetrics(
  file: string,
  start = 0,
  most = Number.POSITIVE_INFINITY,
): Promise<MetricsRead> {
  await using handle = await openToRead(file);
  const { size } = await handle.stat();
  const from = start > size ? 0 : start;
  return await readLines(handle, from, Math.min(size, from + most));
}

async function readLines(handle: FileHandle, start: number, size: number): Promise<MetricsRead> {
  const lines: MetricsLine[] = [];
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(1, size - start)));
  let end = start;
  let tooLong = false;
  for (let at = start; at < size; ) {
    const asked = chunk.subarray(0, Math.min(chunk.length, size - at));
    const bytes = asked.subarray(0, await readFull(handle, asked, at));
    if (bytes.length === 0) break;
    const last = bytes.lastIndexOf(10);
    if (last < 0) {
      // No end of a line in a whole chunk: it is skipped, and so is what follows up to its end.
      if (bytes.length < CHUNK) break;
      at += bytes.length;
      tooLong = true;
      continue;
    }
    const text = bytes.toString("utf8", tooLong ? bytes.indexOf(10) + 1 : 0, last + 1);
    tooLong = false;
    for (const line of text.split("\n")) {
      const parsed = parseMetricsLine(line);
      if (parsed !== undefined) lines.push(parsed);
    }
    at += last + 1;
    end = at;
  }
  return { lines, end };
}

function finite(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
