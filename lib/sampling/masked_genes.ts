import { checkKind } from "../base/arguments.js";
import type { RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type DenoisingModel, maskToken } from "./denoising_model.js";
import { findGenes } from "./find_genes.js";

/**
 * The cells with these genes masked, for `inpaint` to fill in: a gene that a cell has loses its rank, one that it has
 * not is added. Genes are vocabulary ids, or names the vocabulary finds.
 *
 * The model has learnt from cells in which every gene that is named is expressed: a few genes at a time, no more than a
 * cell has evidence, leave the evidence its weight. Throws `GENE_UNKNOWN`, `GENE_DUPLICATE`, and `ARGUMENT_RANGE` for
 * no gene.
 */
export function maskGenes(
  model: Pick<DenoisingModel, "config" | "vocabulary">,
  cells: RaggedBatch,
  genes: Int32Array | readonly (number | string)[],
): RaggedBatch {
  const mask = maskToken(model);
  checkKind("cells", cells, "batch");
  const masked = new Set(findGenes(model, genes));
  const cellCount = cells.offsets.length - 1;
  const offsets = new Int32Array(cellCount + 1);
  const tokens: { readonly gene: number; readonly token: number }[] = [];
  for (let cell = 0; cell < cellCount; cell++) {
    const own = Array.from(masked, (gene) => ({ gene, token: mask }));
    for (let i = cells.offsets[cell] as number; i < (cells.offsets[cell + 1] as number); i++) {
      const gene = cells.genes[i] as number;
      if (!masked.has(gene)) own.push({ gene, token: cells.tokens[i] as number });
    }
    // The model knows cells by ascending gene id, special tokens first.
    own.sort((a, b) => a.gene - b.gene);
    for (const token of own) tokens.push(token);
    offsets[cell + 1] = tokens.length;
  }
  return {
    offsets,
    genes: Int32Array.from(tokens, ({ gene }) => gene),
    tokens: Int32Array.from(tokens, ({ token }) => token),
    cells: cells.cells.slice(),
  };
}
