import { DdscError } from "../../base/errors.js";
import type { RawRows } from "../sources/count_matrix.js";
import { type Column, type Frame, textCategories } from "../sources/frame.js";

const GENE_EXPRESSION = "Gene Expression";
const MAX_NAMED = 5;

/** The features (rows of the file's matrix) of a 10x file; all lists are of the same length. */
export interface TenxFeatures {
  /** Ensembl identifiers as a rule. */
  readonly ids: readonly string[];
  /** Symbols; undefined where the file has none. */
  readonly names: readonly string[] | undefined;
  /** "Gene Expression", "Antibody Capture", ...; undefined before Cell Ranger 3. */
  readonly types: readonly string[] | undefined;
  /** Genome of each feature; undefined where the file does not say. */
  readonly genomes: readonly string[] | undefined;
}

/** The features that are genes to learn from. */
export interface SelectedGenes {
  /** Table of the genes: index of identifiers, columns `gene_symbols` and `genome` where known. */
  readonly frame: Frame;
  /** The gene of each feature, -1 where it was left out; undefined if all are kept. */
  readonly geneOf: Int32Array | undefined;
  readonly notes: readonly string[];
}

/**
 * Keeps gene expression (and one genome, with `genome`), counting in `notes` what is left out. Throws
 * `DATA_MISSING_MATRIX` if there is no gene expression, `DATA_MISSING_GENOME`.
 */
export function selectGenes(features: TenxFeatures, name: string, genome?: string): SelectedGenes {
  const { types, genomes } = features;
  const notes: string[] = [];
  let kept = features.ids.map((_, feature) => feature);
  if (types !== undefined && types.length > 0) {
    const left = countOf(types.filter((type) => type !== GENE_EXPRESSION));
    kept = kept.filter((feature) => types[feature] === GENE_EXPRESSION);
    if (kept.length === 0) {
      throw new DdscError(
        "DATA_MISSING_MATRIX",
        `${name}: has no "${GENE_EXPRESSION}" features, only ${named(left)}; use the file that has the genes' counts`,
        { file: name },
      );
    }
    if (left.size > 0) notes.push(`features that are not gene expression were left out: ${named(left)}`);
  }
  if (genomes !== undefined) {
    const known = countOf(kept.map((feature) => genomes[feature] ?? ""));
    if (genome !== undefined) {
      if (!known.has(genome)) throw missingGenome(name, genome, [...known.keys()]);
      kept = kept.filter((feature) => genomes[feature] === genome);
    } else if (known.size > 1) {
      notes.push(`the genes are of several genomes: ${named(known)}; --genome keeps one`);
    }
  }
  const pick = (values: readonly string[]): string[] => kept.map((feature) => values[feature] ?? "");
  const columns = new Map<string, Column>();
  if (features.names !== undefined)
    columns.set("gene_symbols", { kind: "strings", values: pick(features.names) });
  if (genomes !== undefined) columns.set("genome", textCategories(pick(genomes)));
  return {
    frame: { index: pick(features.ids), indexName: "gene_ids", columns },
    geneOf: kept.length === features.ids.length ? undefined : inverse(kept, features.ids.length),
    notes,
  };
}

/** The error for a genome that a file does not have. */
export function missingGenome(name: string, genome: string, known: readonly string[]): DdscError {
  return new DdscError(
    "DATA_MISSING_GENOME",
    `${name}: there is no genome "${genome}"; it has ${known.join(", ")}`,
    {
      file: name,
      argument: "genome",
    },
  );
}

/** What to tell where one of several genomes was chosen for the user. */
export function genomeNote(chosen: string, genomes: readonly string[]): string {
  return `there are ${genomes.length} genomes (${genomes.join(", ")}): ${chosen} has the most counts and was taken; choose with --genome`;
}

/** Rows without the features that have no gene; columns become numbers of genes. */
export function keepGenes(raw: RawRows, geneOf: Int32Array): RawRows {
  const { offsets: bounds, columns, values } = raw;
  const offsets = new Int32Array(bounds.length);
  let kept = 0;
  for (let row = 0; row + 1 < bounds.length; row++) {
    const end = bounds[row + 1] ?? 0;
    for (let entry = bounds[row] ?? 0; entry < end; entry++) {
      const gene = geneOf[columns[entry] ?? 0] ?? -1;
      if (gene < 0) continue;
      // Writing never overtakes reading.
      columns[kept] = gene;
      values[kept++] = values[entry] ?? 0;
    }
    offsets[row + 1] = kept;
  }
  return { offsets, columns: columns.slice(0, kept), values: values.slice(0, kept) };
}

function countOf(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function named(counts: ReadonlyMap<string, number>): string {
  const texts = [...counts].slice(0, MAX_NAMED).map(([value, count]) => `${count} x "${value}"`);
  return texts.join(", ") + (counts.size > MAX_NAMED ? ", ..." : "");
}

function inverse(kept: readonly number[], count: number): Int32Array {
  const geneOf = new Int32Array(count).fill(-1);
  for (const [gene, feature] of kept.entries()) geneOf[feature] = gene;
  return geneOf;
}
