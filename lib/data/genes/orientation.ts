import type { Gene } from "../sources/cells.js";
import { rowRange } from "../sources/parts.js";
import type { CellSource } from "../sources/source.js";

const ENSEMBL = /^ENS[A-Z]*G\d{6,}/;
const CELL_NAME = /(^|[._:#-])[ACGT]{10,}([._-]\w+)?$|^(cell|barcode|sample)[._ -]?\d+$/i;
/** Genes of mitochondria and ribosomes, which every table of genes by symbol has; so many of them tell. */
const COMMON_GENE = /^(MT-(ND\d|CO\d|CYB|ATP\d)|RP[SL]\d+[AXYL]?\d?)$/i;
const TELLING = 3;
/** Names that are looked at of each kind. */
const LOOKED_AT = 1000;

/** Whether most of the first names are Ensembl identifiers. */
export function areEnsembl(names: readonly string[]): boolean {
  return mostly(names, ENSEMBL);
}

/** Whether most of the first names are such as cells have: barcodes, "cell_17". */
export function areCellNames(names: readonly string[]): boolean {
  return mostly(names, CELL_NAME);
}

/** Whether names are those of genes: Ensembl identifiers, or symbols with the genes among them that none goes without. */
function areGenes(names: readonly string[]): boolean {
  return areEnsembl(names) || names.filter((name) => COMMON_GENE.test(name)).length >= TELLING;
}

/** Whether lists of genes hold genes: the files of a folder may share one. */
const known = new WeakMap<readonly Gene[], boolean>();

function holdGenes(genes: readonly Gene[]): boolean {
  const found = known.get(genes) ?? areGenes(genes.map(({ id }) => id));
  known.set(genes, found);
  return found;
}

function mostly(names: readonly string[], pattern: RegExp): boolean {
  const looked = names.slice(0, LOOKED_AT);
  return looked.length > 0 && 2 * looked.filter((name) => pattern.test(name)).length > looked.length;
}

/**
 * Whether the names say that cells are genes and genes are cells, and nothing says the contrary: a matrix that lies the other way
 * round. Names of cells are read only where those of the genes do not look like genes.
 */
export async function isTransposed(
  source: Pick<CellSource, "genes" | "cellCount" | "cellIds">,
): Promise<boolean> {
  if (source.genes.length === 0 || source.cellCount === 0 || holdGenes(source.genes)) return false;
  const names = (end: number): Promise<readonly string[]> =>
    source.cellIds(rowRange(0, Math.min(source.cellCount, end)));
  // Nearly always the first names tell.
  if (areCellNames(await names(LOOKED_AT))) return false;
  return areCellNames(source.genes.map(({ id }) => id)) || areGenes(await names(32 * LOOKED_AT));
}

/** What is said of a matrix that lies the other way round. */
export const TRANSPOSED =
  "the names of cells look like genes and those of genes like cells: the matrix seems to lie the other way round; " +
  "turn it, in Python: anndata.read_h5ad(FILE).T.write_h5ad(OTHER), or with a text table --transpose";
