import { MemorySource } from "../../lib/data/sources/memory.js";
import { simulateCells } from "../../lib/data/sources/simulate.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallCountModel } from "../training/small_counts.js";

/** What models here learn from. Counts stay well below 64, where a value is a count. */
export const study = new MemorySource(
  simulateCells({ cells: 160, genes: 40, librarySize: 60, seed: 3 }).cells,
);

const TYPES = ["type-0", "type-1", "type-2", "type-3", "type-4", "type-5"];

/** A model that was trained for a few steps, told of types. */
export async function trainedModel(told = true): Promise<Denoiser> {
  const conditions = told ? [{ kind: "labels" as const, name: "cell_type", labels: TYPES }] : [];
  const model = await smallCountModel({ vocabulary: GeneVocabulary.from(study), conditions });
  const trainer = new Trainer(model, {
    learningRate: 5e-3,
    batchCells: 32,
    worker: false,
    validation: false,
  });
  for await (const _ of trainer.fit(study, { steps: 30 }));
  return model;
}

/** Dense counts of a few cells, and their names. */
export interface Few {
  readonly genes: readonly string[];
  readonly counts: readonly (readonly number[])[];
}

/** Some cells of the study with the columns the other way round and two genes among them that no model knows. */
export async function shuffledCells(cells = 6): Promise<Few> {
  const { offsets, columns, counts } = await study.read(
    Int32Array.from({ length: cells }, (_, cell) => 7 * cell),
  );
  const known = study.genes.map(({ id }) => id).reverse();
  const genes = [...known.slice(0, 5), "STRANGE", ...known.slice(5), "UNHEARD"];
  const dense = Array.from({ length: cells }, (_, cell) => {
    const row = new Map<string, number>([
      ["STRANGE", cell],
      ["UNHEARD", 2],
    ]);
    for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++)
      row.set(study.genes[columns[i]!]!.id, counts[i]!);
    return genes.map((gene) => row.get(gene) ?? 0);
  });
  // A cell without a count of a known gene, and one without any.
  const strange = genes.map((gene) => (gene === "STRANGE" ? 4 : 0));
  return { genes, counts: [...dense, strange, genes.map(() => 0)] };
}

/** A source of them, with this column of types. */
export function sourceOf({ genes, counts }: Few, types?: readonly string[]): MemorySource {
  const entries = counts.map((row) =>
    row.flatMap((count, column) => (count > 0 ? [[column, count] as const] : [])),
  );
  const offsets = new Int32Array(counts.length + 1);
  for (const [cell, row] of entries.entries()) offsets[cell + 1] = offsets[cell]! + row.length;
  return new MemorySource({
    name: "few cells",
    ids: counts.map((_, cell) => `cell-${cell}`),
    genes: genes.map((id) => ({ id, aliases: [] })),
    offsets,
    geneColumns: Int32Array.from(entries.flat(), ([column]) => column),
    counts: Float32Array.from(entries.flat(), ([, count]) => count),
    metadata: types === undefined ? {} : { cell_type: types },
    notes: [],
  });
}
