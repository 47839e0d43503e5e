import { checkKind } from "../base/arguments.js";
import { DdscError } from "../base/errors.js";
import { SPECIAL_GENES } from "../tokenizer/gene_names.js";
import { didYouMeanGene } from "../tokenizer/gene_suggestion.js";
import type { DenoisingModel } from "./denoising_model.js";

/**
 * Vocabulary ids of genes given by name or id. Throws `GENE_UNKNOWN` for a gene the vocabulary does not hold,
 * `GENE_DUPLICATE` for one given twice, `ARGUMENT_RANGE` for none at all.
 */
export function findGenes(
  model: Pick<DenoisingModel, "vocabulary">,
  genes: Int32Array | readonly (number | string)[],
): Int32Array {
  checkKind("genes", genes, "numbers");
  if (genes.length === 0) {
    throw new DdscError("ARGUMENT_RANGE", "expected at least one gene for genes but received none", {
      argument: "genes",
    });
  }
  const seen = new Set<number>();
  return Int32Array.from(genes as readonly (number | string)[], (gene) => {
    const id = typeof gene === "string" ? model.vocabulary.find(gene) : gene;
    if (id === undefined || id < SPECIAL_GENES.length || model.vocabulary.token(id) === undefined) {
      const near = typeof gene === "string" ? didYouMeanGene(gene, model.vocabulary) : "";
      throw new DdscError(
        "GENE_UNKNOWN",
        `gene ${JSON.stringify(gene)} is not in the model's vocabulary of ${model.vocabulary.geneCount} genes${near}; ` +
          `${near === "" ? "" : "correct it, or "}leave it out`,
        { argument: "genes", gene: String(gene) },
      );
    }
    if (seen.has(id)) {
      throw new DdscError(
        "GENE_DUPLICATE",
        `gene ${JSON.stringify(gene)} was given twice; give every gene once`,
        {
          argument: "genes",
          gene: String(gene),
        },
      );
    }
    seen.add(id);
    return id;
  });
}
