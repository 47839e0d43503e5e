import { join } from "node:path";
import { isObject } from "../base/json.js";
import { exists, readJson, TRAINING_FILE } from "../model/model_files.js";
import { within } from "./scores_read.js";

/** What a model card says of the training data; without folders, addresses and sign-ins. */
export interface Provenance {
  /** Names of files, without their folders. */
  readonly data: readonly string[];
  readonly cells: number | undefined;
  readonly genes: number | undefined;
  /** The condition that its cells fulfil. */
  readonly where: string | undefined;
  /** Which cells were held out, in words. */
  readonly heldOut: string | undefined;
  readonly step: number | undefined;
}

/** What is recorded of a model's training; undefined where nothing is. Throws `CHECKPOINT_CONFIG`, `CHECKPOINT_READ`. */
export async function readProvenance(folder: string): Promise<Provenance | undefined> {
  const file = join(folder, TRAINING_FILE);
  if (!(await exists(file))) return undefined;
  const { data, state } = await readJson(file);
  if (!isObject(data)) return undefined;
  return {
    data: typeof data.name === "string" ? namesOnly(data.name) : [],
    cells: natural(data.cells),
    genes: natural(data.genes),
    where: typeof data.where === "string" ? data.where : undefined,
    heldOut: heldOutText(data.heldOut),
    step: natural(within(state, "step")),
  };
}

/** The last steps of paths and addresses, without what follows a question mark. */
export function namesOnly(text: string): string[] {
  const names = text.split(/,\s*/).map((path) => {
    const [plain = ""] = path.split(/[?#]/);
    return plain.split(/[\\/]/).filter(Boolean).at(-1) ?? "";
  });
  return names.filter((name) => name !== "");
}

function natural(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function heldOutText(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  if (typeof value.where === "string") return `cells where ${value.where}`;
  return typeof value.fraction === "number"
    ? `${Number((100 * value.fraction).toFixed(1))}% of the cells, at random`
    : undefined;
}
