import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { TRAINING_FILE } from "../model/model_files.js";
import { METRICS_FILE } from "../training/metrics.js";

/** Runs that are followed at most, folders within each other that are searched, and names in each. */
const MOST_RUNS = 64;
const DEEPEST = 3;
const MOST_NAMES = 2000;

/** What was found in some folders. */
export interface FoundRuns {
  /** Folders of runs: those given, or below them, and so as the user named them. */
  readonly runs: readonly string[];
  /** Whether there are more than are followed. */
  readonly more: boolean;
}

/** The runs that some folders are or hold, in the order of their names; a folder that is not there may come later. */
export async function findRuns(paths: readonly string[]): Promise<FoundRuns> {
  const runs = new Set<string>();
  for (const path of paths) {
    for await (const folder of runsBelow(path, 0)) {
      if (runs.size >= MOST_RUNS && !runs.has(folder)) return { runs: [...runs], more: true };
      runs.add(folder);
    }
  }
  return { runs: [...runs], more: false };
}

async function* runsBelow(folder: string, depth: number): AsyncGenerator<string, void, undefined> {
  if (await isRun(folder)) {
    yield folder;
    return;
  }
  if (depth === DEEPEST) return;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  const names = folders.map(({ name }) => name).sort(byName);
  for (const name of names.slice(0, MOST_NAMES)) yield* runsBelow(join(folder, name), depth + 1);
}

/** Whether a folder is a run's: it has metrics, or a checkpoint `last`. */
async function isRun(folder: string): Promise<boolean> {
  const metrics = await stat(join(folder, METRICS_FILE)).catch(() => undefined);
  if (metrics?.isFile() === true) return true;
  return (await stat(join(folder, "last", TRAINING_FILE)).catch(() => undefined))?.isFile() === true;
}

/** run-2 before run-10. */
function byName(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
