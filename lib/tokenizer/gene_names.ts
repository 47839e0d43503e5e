import { CLS_GENE, END_GENE, PAD_GENE } from "./ragged_batch.js";

/** The special tokens of every vocabulary, by id: `<pad>` 0, `<cls>` 1, `<eoc>` 2. */
export const SPECIAL_GENES: readonly string[] = (() => {
  const names: string[] = [];
  names[PAD_GENE] = "<pad>";
  names[CLS_GENE] = "<cls>";
  names[END_GENE] = "<eoc>";
  return names;
})();

const VERSIONED_ENSEMBL = /^(ENS[A-Z]{0,6}G\d{6,})\.\d+$/;

/**
 * An Ensembl gene id without its version ("ENSG00000123456.7" -> "ENSG00000123456"); any other name as it is:
 * symbols such as "RP11-34P13.7" hold dots too.
 */
export function withoutVersion(name: string): string {
  return VERSIONED_ENSEMBL.exec(name)?.[1] ?? name;
}
