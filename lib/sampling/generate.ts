import { checkKind, checkOptions } from "../base/arguments.js";
import { checkWhole } from "../base/errors.js";
import { CLS_GENE, FIRST_RANK_TOKEN, type RaggedBatch, SPECIAL_TOKEN } from "../tokenizer/ragged_batch.js";
import { type DenoisingModel, maskToken } from "./denoising_model.js";
import { findGenes } from "./find_genes.js";
import type { SamplingOptions } from "./options.js";
import { sample } from "./sample.js";

/** Options of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /** The genes every cell expresses: vocabulary ids, or names the vocabulary finds. Each at most once. */
  readonly genes: Int32Array | readonly (number | string)[];
  /** Number of cells. */
  readonly cells: number;
  /** Whether cells start with the cls token, as in training; default as the model's tokenizer. */
  readonly cls?: boolean;
  /** Global index of the first cell; with the seed it names the random numbers. Default 0. */
  readonly firstCell?: number;
}

/** Cells from nothing but a gene list. */
export interface GeneratedCells {
  /** Number of cells. */
  readonly cells: number;
  /** Vocabulary ids of the genes, in the order asked for, [genes]. */
  readonly genes: Int32Array;
  /** Ranks 0..R-1, [cells, genes], row-major. */
  readonly ranks: Int32Array;
  /** How often the network ran for each cell, [cells]. */
  readonly networkEvaluations: Int32Array;
}

/**
 * Draws cells that express the given genes. Throws `GENE_UNKNOWN` for a gene the vocabulary does not hold,
 * `GENE_DUPLICATE` for one given twice, `ARGUMENT_RANGE`, and as `sample`.
 */
export async function generate(model: DenoisingModel, options: GenerateOptions): Promise<GeneratedCells> {
  checkKind("model", model, "model");
  checkOptions(options, { cls: "switch" });
  const genes = findGenes(model, options.genes);
  const cells = checkWhole("cells", options.cells, 1, 2 ** 31 - 1);
  const first = checkWhole("firstCell", options.firstCell ?? 0, 0, 2 ** 44 - cells);
  const specials = (options.cls ?? model.tokenizer.cls) ? 1 : 0;
  // The model knows cells by ascending gene id, as the tokenizer writes them.
  const order = Int32Array.from(genes.keys()).sort((a, b) => (genes[a] as number) - (genes[b] as number));
  const sorted = order.map((place) => genes[place] as number);
  const { batch, networkEvaluations } = await sample(
    model,
    maskedCells(sorted, cells, specials, first, maskToken(model)),
    options,
  );
  const ranks = new Int32Array(cells * genes.length);
  for (let cell = 0; cell < cells; cell++) {
    const start = (batch.offsets[cell] as number) + specials;
    for (const [i, place] of order.entries()) {
      ranks[cell * genes.length + place] = (batch.tokens[start + i] as number) - FIRST_RANK_TOKEN;
    }
  }
  return { cells, genes, ranks, networkEvaluations };
}

/** Cells of these genes with every rank masked. */
function maskedCells(
  genes: Int32Array,
  cells: number,
  specials: number,
  first: number,
  mask: number,
): RaggedBatch {
  const length = specials + genes.length;
  const batch = {
    offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * length),
    genes: new Int32Array(cells * length),
    tokens: new Int32Array(cells * length).fill(mask),
    cells: Float64Array.from({ length: cells }, (_, cell) => first + cell),
  };
  for (let cell = 0; cell < cells; cell++) {
    const start = cell * length;
    batch.genes.set(genes, start + specials);
    if (specials === 0) continue;
    batch.genes[start] = CLS_GENE;
    batch.tokens[start] = SPECIAL_TOKEN;
  }
  return batch;
}
