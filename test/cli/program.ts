import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { openCells } from "../../lib/data/open/open_cells.js";
import type { CellBlock } from "../../lib/data/sources/cells.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import type { SimulateOptions } from "../../lib/data/sources/simulation.js";
import { isBuilt } from "../node_program.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How a run of the program ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout as JSON. */
  json(): Record<string, never>;
}

/** The built program starts three times as fast; the sources stand in where it is missing or older than they. */
const program = isBuilt ? ["dist/cli/main.js"] : ["--import", "tsx", "lib/cli/main.ts"];

/** What Node runs for `ddsc` with these words. */
export function command(words: readonly string[]): string[] {
  return [
    ...program.map((word) => (word.startsWith("-") || word === "tsx" ? word : join(ROOT, word))),
    ...words,
  ];
}

/** Starts `ddsc` with these words. */
export function start(words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, command(words), { cwd: ROOT, env: { ...process.env, ...env } });
}

/** Waits for the end of a program. */
export async function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (piece: Buffer) => {
    stdout += piece.toString();
  });
  child.stderr.on("data", (piece: Buffer) => {
    stderr += piece.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return { code, stdout, stderr, json: () => JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") };
}

/** Runs `ddsc` with these words, as a user types them. */
export function ddsc(...words: readonly string[]): Promise<Ended> {
  return ended(start(words));
}

/** Writes a small study to `path`. */
export async function writeStudy(path: string, options: SimulateOptions = {}): Promise<void> {
  const { cells } = simulateCells({ cells: 60, genes: 24, seed: 1, ...options });
  using source = new MemorySource(cells);
  await writeH5ad(path, {
    obs: source.obs,
    var: source.var,
    X: { kind: "csr", offsets: cells.offsets, columns: cells.geneColumns, values: cells.counts },
  });
}

/** A folder with a small study, and a model of ranks that was trained on it for a few steps; the caller removes `folder`. */
export interface SmallRun {
  readonly folder: string;
  readonly data: string;
  readonly run: string;
  readonly trained: Ended;
}

/** Makes one. */
export async function trainRanks(steps = 3, batch = 8): Promise<SmallRun> {
  const folder = await mkdtemp(join(tmpdir(), "ddsc-cli-"));
  const data = join(folder, "cells.h5ad");
  const run = join(folder, "run");
  await writeStudy(data);
  const size = ["--steps", String(steps), "--batch", String(batch)];
  const trained = await ddsc("train", "--values", "ranks", "--data", data, ...size, "--out", run, "--json");
  return { folder, data, run, trained };
}

/** All values of a matrix of an .h5ad file, row-major, as far as they are above 0. */
export async function countsIn(file: string, layer?: string): Promise<CellBlock> {
  using source = await openCells(file, layer === undefined ? {} : { layer });
  return await source.read(Int32Array.from({ length: source.cellCount }, (_, row) => row));
}
