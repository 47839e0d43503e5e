import type { Gene } from "../sources/cells.js";

const VERSIONED_ENSEMBL = /^(ENS[A-Z]{0,6}G\d{6,})\.\d+$/;

/**
 * An Ensembl gene id without its version ("ENSG00000123456.7" -> "ENSG00000123456"); any other name as it is:
 * symbols such as "RP11-34P13.7" hold dots too.
 */
export function withoutVersion(name: string): string {
  return VERSIONED_ENSEMBL.exec(name)?.[1] ?? name;
}

/** A gene to be found by its names. */
export interface NamedGene {
  /** What looking it up gives, >= 0. */
  readonly id: number;
  /** The name that stands for the gene. */
  readonly token: string;
  /** Its other names. */
  readonly aliases: readonly string[];
}

/** The genes of a source that carry a name which fits several of the known genes. */
export interface AmbiguousGene {
  /** Identifier in the source. */
  readonly gene: string;
  /** Tokens it may be, by id. */
  readonly candidates: readonly string[];
}

/** What became of a source's genes among those of a vocabulary or another source. */
export interface GeneMatch {
  /** Id of each gene, -1 where it has none, [genes]. No id occurs twice. */
  readonly ids: Int32Array;
  /** How many genes have an id. */
  readonly matched: number;
  /** Identifiers of the genes that are not known. */
  readonly unknown: readonly string[];
  /** Genes left out because their name is an alias of several known genes. */
  readonly ambiguous: readonly AmbiguousGene[];
  /** Genes left out because another gene of the source fits the same known gene better or came first. */
  readonly duplicates: readonly string[];
}

/** Marks a name that fits several genes. */
const AMBIGUOUS = -2;
const UNKNOWN = -1;

/**
 * Genes by any of their names, looked up in this order: the token itself; the token with Ensembl versions ignored on both
 * sides; an alias; an alias with versions ignored. Looking up is case-sensitive.
 */
export class GeneIndex {
  readonly #genes: readonly NamedGene[];
  readonly #byToken = new Map<string, number>();
  /** Names that are not tokens: how well they fit is told by which map holds them. */
  readonly #byStem = new Map<string, number>();
  readonly #byAlias = new Map<string, number>();
  readonly #byAliasStem = new Map<string, number>();

  /** @param genes whose ids and tokens are unique */
  constructor(genes: readonly NamedGene[]) {
    this.#genes = genes;
    for (const { id, token, aliases } of genes) {
      this.#byToken.set(token, id);
      addName(this.#byStem, withoutVersion(token), id);
      for (const alias of aliases) {
        addName(this.#byAlias, alias, id);
        addName(this.#byAliasStem, withoutVersion(alias), id);
      }
    }
  }

  /** The id of a gene by any of its names; undefined where unknown or fitting several genes. */
  find(name: string): number | undefined {
    const { id } = this.#lookUp(name, []);
    return id >= 0 ? id : undefined;
  }

  /** Finds a source's genes: by identifier first, then by each alias in order. */
  match(genes: readonly Gene[]): GeneMatch {
    const ids = new Int32Array(genes.length).fill(UNKNOWN);
    const levels = new Uint8Array(genes.length);
    const holders = new Map<number, number>();
    const unknown: string[] = [];
    const ambiguous: AmbiguousGene[] = [];
    const duplicates: string[] = [];
    for (const [column, gene] of genes.entries()) {
      const { id, level, name } = this.#lookUp(gene.id, gene.aliases);
      if (id === AMBIGUOUS) ambiguous.push({ gene: gene.id, candidates: this.#candidates(name) });
      else if (id === UNKNOWN) unknown.push(gene.id);
      else {
        levels[column] = level;
        const holder = holders.get(id);
        if (holder !== undefined && (levels[holder] as number) <= level) {
          duplicates.push(gene.id);
          continue;
        }
        if (holder !== undefined) {
          ids[holder] = UNKNOWN;
          duplicates.push((genes[holder] as Gene).id);
        }
        holders.set(id, column);
        ids[column] = id;
      }
    }
    return { ids, matched: holders.size, unknown, ambiguous, duplicates };
  }

  /** Best fit of a gene's names, the earlier name winning among equals; `level` is lower the better the fit. */
  #lookUp(first: string, others: readonly string[]): { id: number; level: number; name: string } {
    // Nearly always.
    const exact = this.#byToken.get(first);
    if (exact !== undefined) return { id: exact, level: 0, name: first };
    let doubtful: string | undefined;
    let level = 0;
    for (const name of [first, ...others]) {
      const stem = withoutVersion(name);
      for (const id of [
        this.#byToken.get(name),
        this.#byStem.get(stem),
        this.#byAlias.get(name),
        this.#byAliasStem.get(stem),
      ]) {
        if (id !== undefined && id >= 0) return { id, level, name };
        if (id === AMBIGUOUS) doubtful ??= name;
        level++;
      }
    }
    return { id: doubtful === undefined ? UNKNOWN : AMBIGUOUS, level, name: doubtful ?? "" };
  }

  /** Tokens that an ambiguous name may stand for. */
  #candidates(name: string): string[] {
    const stem = withoutVersion(name);
    return this.#genes
      .filter(({ token, aliases }) => [token, ...aliases].some((own) => withoutVersion(own) === stem))
      .map(({ token }) => token);
  }
}

function addName(names: Map<string, number>, name: string, id: number): void {
  const known = names.get(name);
  names.set(name, known === undefined || known === id ? id : AMBIGUOUS);
}
