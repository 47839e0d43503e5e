import { createHash } from "node:crypto";
import { DdscError } from "../base/errors.js";
import { writeFileAtomic } from "../base/publish.js";
import { takeTurn } from "../base/turns.js";
import { GeneIndex, type GeneMatch } from "../data/genes/gene_index.js";
import type { Gene } from "../data/sources/cells.js";
import type { CellSource } from "../data/sources/source.js";
import { SPECIAL_GENES } from "./ragged_batch.js";
import { parseVocabulary, readVocabulary, type VocabularyEntry } from "./vocabulary_file.js";

/** Entries that are hashed in one call, of which each takes about a microsecond. */
const HASHED_AT_ONCE = 1024;

/** The saved form of a vocabulary. */
export interface VocabularyJson {
  readonly format: "ddsc-gene-vocabulary";
  readonly version: 1;
  /** `GeneVocabulary.fingerprint` of the entries; checked when read. */
  readonly fingerprint: string;
  /** Every row, specials first, by id. */
  readonly entries: readonly VocabularyEntry[];
}

/**
 * The genes a model knows: token <-> id, where an id is a row of the gene embedding. Ids 0, 1, 2 are the special
 * tokens `<pad>`, `<cls>`, `<eoc>`; genes follow. Ids may have gaps. Immutable.
 *
 * Names are looked up as `GeneIndex` does. Special tokens are found by `id`, never as genes.
 */
export class GeneVocabulary {
  /** Rows by id, ascending. */
  readonly entries: readonly VocabularyEntry[];
  /** Rows of the gene embedding: the largest id + 1. */
  readonly size: number;
  readonly #byId = new Map<number, VocabularyEntry>();
  readonly #byToken = new Map<string, number>();
  readonly #names: GeneIndex;
  #fingerprint: string | undefined;

  /**
   * @param entries rows in any order. Throws `VOCABULARY_SPECIALS` unless ids 0, 1, 2 are the special tokens,
   *   `VOCABULARY_ID` for an id that is negative, no whole number, not below 2^31 - 1 or given twice, and
   *   `VOCABULARY_DUPLICATE` for a token given twice. `file` is named in messages.
   */
  constructor(entries: Iterable<VocabularyEntry>, file?: string) {
    this.entries = [...entries].sort((a, b) => a.id - b.id);
    const place = file === undefined ? {} : { file };
    const where = file === undefined ? "the gene vocabulary" : file;
    for (const entry of this.entries) {
      const { id, token } = entry;
      if (!Number.isInteger(id) || id < 0 || id >= 2 ** 31 - 1) {
        throw new DdscError(
          "VOCABULARY_ID",
          `${where}: token "${token}" has id ${String(id)}; ids are whole numbers >= 0`,
          {
            ...place,
            gene: token,
          },
        );
      }
      const holder = this.#byId.get(id);
      if (holder !== undefined) {
        throw new DdscError(
          "VOCABULARY_ID",
          `${where}: tokens "${holder.token}" and "${token}" share id ${id}; give every token its own id`,
          { ...place, gene: token },
        );
      }
      if (this.#byToken.has(token)) {
        throw new DdscError(
          "VOCABULARY_DUPLICATE",
          `${where}: token "${token}" has ids ${this.#byToken.get(token)} and ${id}; keep one of them`,
          { ...place, gene: token },
        );
      }
      this.#byId.set(id, entry);
      this.#byToken.set(token, id);
    }
    for (const [id, special] of SPECIAL_GENES.entries()) {
      if (this.#byToken.get(special) === id) continue;
      throw new DdscError(
        "VOCABULARY_SPECIALS",
        `${where}: id ${id} must be "${special}" but is ${this.token(id) === undefined ? "missing" : `"${this.token(id)}"`}; ` +
          `number the specials ${SPECIAL_GENES.join(", ")} from 0 and the genes after them`,
        place,
      );
    }
    this.size = (this.entries.at(-1)?.id ?? -1) + 1;
    this.#names = new GeneIndex(this.entries.slice(SPECIAL_GENES.length));
  }

  /**
   * The genes of one source in its column order, or the union of several: a gene of a later source that `match`
   * finds among the earlier ones is the same gene (its names become aliases), any other is appended.
   */
  static from(...sources: readonly Pick<CellSource, "genes" | "name">[]): GeneVocabulary {
    const [first, ...others] = sources;
    let vocabulary = GeneVocabulary.fromGenes(first?.genes ?? [], first?.name);
    for (const source of others) vocabulary = vocabulary.#extendedBy(source);
    return vocabulary;
  }

  /** Specials, then these genes in order. Throws `VOCABULARY_DUPLICATE` for an identifier given twice. */
  static fromGenes(genes: Iterable<Gene>, file?: string): GeneVocabulary {
    const entries: VocabularyEntry[] = specialEntries();
    for (const { id, aliases } of genes)
      entries.push({ id: entries.length, token: id, aliases: namesBeside(id, aliases) });
    return new GeneVocabulary(entries, file);
  }

  /** Specials, then genes of these identifiers in order. */
  static fromIds(ids: Iterable<string>): GeneVocabulary {
    return GeneVocabulary.fromGenes(Array.from(ids, (id) => ({ id, aliases: [] })));
  }

  /**
   * From the saved form or a plain `{token: id}` object. Throws `VOCABULARY_FORMAT` for anything else, and as the
   * constructor does. `file` is named in messages.
   */
  static fromJSON(json: unknown, file?: string): GeneVocabulary {
    const { entries, fingerprint } = parseVocabulary(json, file);
    const vocabulary = new GeneVocabulary(entries, file);
    vocabulary.#checkFingerprint(fingerprint, file);
    return vocabulary;
  }

  /** Reads a JSON file of either form. Throws `FILE_READ` where it cannot be read, and as `fromJSON` does. */
  static async load(file: string): Promise<GeneVocabulary> {
    const json = await readVocabulary(file);
    await takeTurn();
    const { entries, fingerprint } = parseVocabulary(json, file);
    await takeTurn();
    const vocabulary = new GeneVocabulary(entries, file);
    await takeTurn();
    vocabulary.#checkFingerprint(fingerprint, file);
    return vocabulary;
  }

  /** Writes the saved form, whole or not at all. Throws `FILE_WRITE`. */
  async save(file: string): Promise<void> {
    await writeFileAtomic(file, `${JSON.stringify(this)}\n`);
  }

  /** Plain JSON from which `fromJSON` makes the same vocabulary again. */
  toJSON(): VocabularyJson {
    return {
      format: "ddsc-gene-vocabulary",
      version: 1,
      fingerprint: this.fingerprint,
      entries: this.entries,
    };
  }

  /** Number of genes, specials not counted. */
  get geneCount(): number {
    return this.entries.length - SPECIAL_GENES.length;
  }

  /** SHA-256 (hex) of ids and tokens: equal where two vocabularies name the rows of an embedding alike. */
  get fingerprint(): string {
    if (this.#fingerprint === undefined) {
      const hash = createHash("sha256");
      for (let first = 0; first < this.entries.length; first += HASHED_AT_ONCE) {
        const some = this.entries.slice(first, first + HASHED_AT_ONCE);
        hash.update(some.map(({ id, token }) => `${id}\t${JSON.stringify(token)}\n`).join(""));
      }
      this.#fingerprint = hash.digest("hex");
    }
    return this.#fingerprint;
  }

  /** The token of an id; undefined in a gap and outside. */
  token(id: number): string | undefined {
    return this.#byId.get(id)?.token;
  }

  /** The id of exactly this token, specials included. */
  id(token: string): number | undefined {
    return this.#byToken.get(token);
  }

  /** The id of a gene by any of its names; undefined where unknown or fitting several genes. */
  find(name: string): number | undefined {
    return this.#names.find(name);
  }

  /** Finds a source's genes: by identifier first, then by each alias in order. */
  match(genes: readonly Gene[]): GeneMatch {
    return this.#names.match(genes);
  }

  /** Throws `VOCABULARY_CORRUPT` unless the entries have the fingerprint that was saved with them, if any was. */
  #checkFingerprint(saved: string | undefined, file: string | undefined): void {
    if (saved === undefined || saved === this.fingerprint) return;
    throw new DdscError(
      "VOCABULARY_CORRUPT",
      `${file ?? "the gene vocabulary"}: the entries do not have the fingerprint saved with them; the file was changed after it was saved: restore it`,
      file === undefined ? {} : { file },
    );
  }

  #extendedBy(source: Pick<CellSource, "genes" | "name">): GeneVocabulary {
    const entries = new Map(this.entries.map((entry) => [entry.id, entry]));
    const { ids } = this.match(source.genes);
    let next = this.size;
    for (const [column, gene] of source.genes.entries()) {
      const known = entries.get(ids[column] as number);
      if (known !== undefined) {
        const aliases = namesBeside(known.token, [...known.aliases, gene.id, ...gene.aliases]);
        entries.set(known.id, { ...known, aliases });
      } else if (!this.#byToken.has(gene.id)) {
        entries.set(next, { id: next, token: gene.id, aliases: namesBeside(gene.id, gene.aliases) });
        next++;
      }
    }
    return new GeneVocabulary(entries.values(), source.name);
  }
}

function specialEntries(): VocabularyEntry[] {
  return SPECIAL_GENES.map((token, id) => ({ id, token, aliases: [] }));
}

/** Each name once, the token itself left out. */
function namesBeside(token: string, names: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => name !== token);
}
