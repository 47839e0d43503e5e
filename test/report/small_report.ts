import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeH5ad } from "../../lib/data/anndata/h5ad_write.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import { trainFile } from "../../lib/index.js";

/** A run on a small study. */
export interface SmallStudy {
  /** The caller's to remove. */
  readonly folder: string;
  readonly data: string;
  readonly run: string;
}

/** Trains for a few steps on 120 cells of 24 genes with two types, 30 or so of them held out. */
export async function smallStudy(
  options: {
    readonly values?: "counts" | "ranks";
    readonly validation?: boolean;
    readonly cells?: number;
    /** Name of the run's folder. */
    readonly name?: string;
    readonly types?: readonly [string, string];
    readonly genes?: (id: string) => string;
  } = {},
): Promise<SmallStudy> {
  const { values = "counts", validation = true, name = "run", types = ["B", "T"] } = options;
  const folder = await mkdtemp(join(tmpdir(), "ddsc-report-"));
  const data = join(folder, "cells.h5ad");
  const run = join(folder, name);
  const { cells } = simulateCells({ cells: options.cells ?? 120, genes: 24, seed: 1 });
  const named = {
    ...cells,
    genes: cells.genes.map(({ id }) => ({ id: options.genes?.(id) ?? id, aliases: [] })),
    metadata: { cell_type: cells.ids.map((_, cell) => types[cell % 2]!) },
  };
  using source = new MemorySource(named);
  await writeH5ad(data, {
    obs: source.obs,
    var: source.var,
    X: { kind: "csr", offsets: cells.offsets, columns: cells.geneColumns, values: cells.counts },
  });
  await trainFile({
    data,
    out: run,
    steps: 6,
    values,
    ...(values === "counts" ? { conditions: ["cell_type"] } : {}),
    training: { batchCells: 16, worker: false, validation: validation ? { fraction: 0.25 } : false },
    model: { shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 } },
  });
  return { folder, data, run };
}
