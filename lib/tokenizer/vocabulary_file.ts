import { DdscError } from "../base/errors.js";
import { eachOutermostName, isObject, type JsonObject, parseJsonInTurns } from "../base/json.js";
import { readWhole } from "../base/regular_files.js";
import { takeTurn } from "../base/turns.js";

/** One row of the vocabulary. */
export interface VocabularyEntry {
  /** Row of the gene embedding. */
  readonly id: number;
  /** The name that stands for the gene: an Ensembl id, a symbol, or a special token. */
  readonly token: string;
  /** Other names of the same gene. */
  readonly aliases: readonly string[];
}

const FORMAT = "ddsc-gene-vocabulary";
const VERSION = 1;
/** Millions of genes with their aliases. */
const MAX_FILE_BYTES = 128 * 2 ** 20;

/** Entries of a vocabulary as read, before they are checked against each other. */
export interface ParsedVocabulary {
  readonly entries: VocabularyEntry[];
  /** The fingerprint saved beside them; a `{token: id}` object has none. */
  readonly fingerprint: string | undefined;
}

/** Takes apart the saved form or a `{token: id}` object. Throws `VOCABULARY_FORMAT`. */
export function parseVocabulary(json: unknown, file?: string): ParsedVocabulary {
  const fail = failure(file);
  if (!isObject(json)) throw fail(`expected a JSON object of {token: id} but found ${describe(json)}`);
  if (json.format !== FORMAT) return { entries: parseTokenIds(json, fail), fingerprint: undefined };
  if (json.version !== VERSION) {
    throw fail(
      `its version is ${describe(json.version)} and this package reads version ${VERSION}; update the package`,
    );
  }
  const { entries, fingerprint } = json;
  if (typeof fingerprint !== "string" || !Array.isArray(entries))
    throw fail("its entries or its fingerprint are missing");
  return { entries: entries.map((entry) => parseEntry(entry, fail)), fingerprint };
}

/**
 * Reads and decodes a vocabulary file. Throws `FILE_READ` where it cannot be read, `VOCABULARY_FORMAT` where it is
 * no JSON, `VOCABULARY_DUPLICATE` where a `{token: id}` object names a token twice (which JSON.parse would hide).
 */
export async function readVocabulary(file: string): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(file, MAX_FILE_BYTES);
  } catch (cause) {
    throw new DdscError(
      "FILE_READ",
      `${file}: cannot read the gene vocabulary (${reason(cause)}); check the path`,
      { file },
      { cause },
    );
  }
  let json: unknown;
  try {
    json = await parseJsonInTurns(bytes);
  } catch (cause) {
    throw new DdscError(
      "VOCABULARY_FORMAT",
      `${file}: not JSON (${reason(cause)}); expected {token: id}`,
      { file },
      { cause },
    );
  }
  if (!isObject(json) || json.format === FORMAT) return json;
  await takeTurn();
  const names: string[] = [];
  eachOutermostName(bytes, (name) => names.push(name));
  checkRepeatedTokens(names, json, file);
  return json;
}

type Failure = (problem: string) => DdscError;

function failure(file: string | undefined): Failure {
  return (problem) =>
    new DdscError(
      "VOCABULARY_FORMAT",
      `${file ?? "the gene vocabulary"}: ${problem}`,
      file === undefined ? {} : { file },
    );
}

function parseTokenIds(json: JsonObject, fail: Failure): VocabularyEntry[] {
  return Object.entries(json).map(([token, id]) => {
    if (typeof id !== "number")
      throw fail(`token "${token}" has ${describe(id)} for an id; expected {token: id}`);
    return { id, token, aliases: [] };
  });
}

function parseEntry(entry: unknown, fail: Failure): VocabularyEntry {
  if (isObject(entry)) {
    const { id, token, aliases } = entry;
    if (
      typeof id === "number" &&
      typeof token === "string" &&
      Array.isArray(aliases) &&
      aliases.every((alias) => typeof alias === "string")
    ) {
      return { id, token, aliases };
    }
  }
  throw fail(`an entry is not {id, token, aliases}: ${describe(entry)}`);
}

/** Parsing keeps the last of two values of one name. */
function checkRepeatedTokens(tokens: readonly string[], json: JsonObject, file: string): void {
  if (tokens.length === Object.keys(json).length) return;
  const seen = new Set<string>();
  for (const token of tokens) {
    if (seen.has(token)) {
      throw new DdscError(
        "VOCABULARY_DUPLICATE",
        `${file}: token "${token}" is given twice; keep one of them`,
        { file, gene: token },
      );
    }
    seen.add(token);
  }
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
