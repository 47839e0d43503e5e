import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../base/errors.js";
import { isObject, type JsonObject, parseJson } from "../base/json.js";
import { readWhole } from "../base/regular_files.js";

/** Bytes of an evaluation; the largest, with groups and calibration, have some hundred thousand. */
const MAX_BYTES = 32 * 2 ** 20;
/** A file of this name in a model's folder, or in that of its run, is its evaluation. */
const FOUND_AS = "evaluation.json";

/** An evaluation as `ddsc evaluate --json` prints it. */
export interface ReadEvaluation {
  /** The file it was read from. */
  readonly file: string;
  readonly json: JsonObject;
}

/**
 * The evaluation that a user names, or the one that lies in a folder; undefined where there is none. A file may be all that
 * `ddsc evaluate --json` printed: its last line counts. Throws `EXPORT_EVALUATION` for anything else, and for one of the other kind
 * of model.
 *
 * @param folders where `evaluation.json` is looked for, in this order
 */
export async function readEvaluation(
  given: string | undefined,
  folders: readonly string[],
  kind: "counts" | "ranks",
): Promise<ReadEvaluation | undefined> {
  const file = given ?? (await firstThere(folders.map((folder) => join(folder, FOUND_AS))));
  if (file === undefined) return undefined;
  const json = await readLastLine(file);
  const scores = kind === "counts" ? json.likelihood : json.ratios;
  if ((json.kind ?? kind) !== kind || !isObject(scores))
    throw evaluationError(file, `it holds no scores of a model of ${kind}`);
  return { file, json };
}

/** An object within one, or undefined. */
export function within(json: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    json,
  );
}

async function firstThere(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const isThere = await stat(file).then(
      (found) => found.isFile(),
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

async function readLastLine(file: string): Promise<JsonObject> {
  let cause: unknown;
  try {
    const text = (await readWhole(file, MAX_BYTES)).toString("utf8").trim();
    for (const part of [text, text.slice(text.lastIndexOf("\n") + 1)]) {
      try {
        const json = parseJson(Buffer.from(part));
        if (isObject(json)) return json;
      } catch (error) {
        cause = error;
      }
    }
  } catch (error) {
    cause = error;
  }
  const reason = cause instanceof Error ? cause.message : "it is no JSON object";
  throw evaluationError(file, reason, cause);
}

function evaluationError(file: string, problem: string, cause?: unknown): DdscError {
  return new DdscError(
    "EXPORT_EVALUATION",
    `${file}: cannot be used as the model's scores: ${problem}; give what \`ddsc evaluate --model MODEL --json\` printed`,
    { file, argument: "evaluation" },
    { cause },
  );
}
