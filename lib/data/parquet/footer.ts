import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { DdscError } from "../../base/errors.js";
import { corrupt, type RandomAccess } from "../io/random_access.js";
import { MAGIC, PHYSICAL_TYPES, Physical } from "./format.js";
import { type ParquetColumnChunk, type ParquetRowGroup, RowGroups } from "./row_groups.js";
import { ThriftError, ThriftReader } from "./thrift.js";

/** A column of the file: a leaf of its schema. */
export interface ParquetLeaf {
  /** Names from the root to the leaf. */
  readonly path: readonly string[];
  /** Parquet's number of the physical type: see `Physical`. */
  readonly physical: number;
  /** Whether a byte array holds text: it says so, or says nothing. */
  readonly text: boolean;
  readonly maxDefinition: number;
  readonly maxRepetition: number;
  /** Definition level from which an entry of the innermost list exists; 0 without lists. */
  readonly entryDefinition: number;
}

/** What a file's end says of it. */
export interface ParquetFooter {
  readonly rows: number;
  readonly leaves: readonly ParquetLeaf[];
  readonly rowGroups: RowGroups;
}

/** What an encrypted file ends with. */
const ENCRYPTED_MAGIC = Buffer.from("PARE");
const TAIL = 8;
/** Most footers are smaller: one read then suffices. */
const GUESS_LOCAL = 1 << 15;
const GUESS_REMOTE = 1 << 18;
const MAX_FOOTER = 2 ** 29;
const MAX_ROWS = 0x7fff_ffff;

/**
 * Reads the footer. Throws `DATA_FORMAT` where it is no Parquet file or an encrypted one, `DATA_TRUNCATED` where the end is
 * missing, `DATA_CORRUPT` where it contradicts itself or the length of the file, `DATA_TOO_LARGE`.
 */
export async function readFooter(file: RandomAccess): Promise<ParquetFooter> {
  const fail = (code: string, what: string): DdscError =>
    new DdscError(code, `${file.name}: ${what}`, { file: file.name });
  if (file.size < 12)
    throw fail("DATA_TRUNCATED", "is too short for a Parquet file; fetch or write it again");
  const guess = Math.min(file.size, file.remote ? GUESS_REMOTE : GUESS_LOCAL);
  const end = await file.read(file.size - guess, guess);
  const view = new DataView(end.buffer, end.byteOffset + end.length - TAIL, TAIL);
  const magic = end.subarray(-MAGIC.length);
  if (ENCRYPTED_MAGIC.equals(magic))
    throw fail("DATA_FORMAT", "is an encrypted Parquet file; decrypt it first");
  if (!MAGIC.equals(magic))
    throw fail(
      "DATA_TRUNCATED",
      "does not end as a Parquet file does; it is cut short: fetch or write it again",
    );
  const length = view.getUint32(0, true);
  if (length > file.size - TAIL - 4 || length > MAX_FOOTER)
    throw fail("DATA_CORRUPT", `its footer claims ${length} bytes; fetch or write it again`);
  const bytes =
    length + TAIL <= guess
      ? end.subarray(guess - TAIL - length, guess - TAIL)
      : await file.read(file.size - TAIL - length, length);
  try {
    const { rows, leaves, rowGroups } = checkFooter(file, parseFooter(bytes));
    return { rows, leaves: shared(leaves), rowGroups: new RowGroups(rowGroups, leaves.length) };
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error;
    throw fail("DATA_CORRUPT", `its footer is damaged: ${error.message}; fetch or write it again`);
  }
}

/** As it is parsed. */
interface ParsedFooter {
  readonly rows: number;
  readonly leaves: readonly ParquetLeaf[];
  readonly rowGroups: readonly ParquetRowGroup[];
}

/** Schemas seen lately, by a hash: the files of a data set share one. */
const schemas = new LRUCache<string, readonly ParquetLeaf[]>({ max: 4 });

function shared(leaves: readonly ParquetLeaf[]): readonly ParquetLeaf[] {
  const key = createHash("sha256").update(JSON.stringify(leaves)).digest("base64");
  const known = schemas.get(key) ?? leaves;
  schemas.set(key, known);
  return known;
}

interface SchemaElement {
  physical: number | undefined;
  repetition: number;
  name: string;
  children: number;
  /** Converted or logical type that is no text. */
  otherType: boolean;
}

function parseFooter(bytes: Uint8Array): ParsedFooter {
  const reader = new ThriftReader(bytes);
  const elements: SchemaElement[] = [];
  const rowGroups: ParquetRowGroup[] = [];
  let rows = -1;
  reader.struct((id, type) => {
    if (id === 2) reader.list(() => elements.push(parseElement(reader)));
    else if (id === 3) rows = reader.i64();
    else if (id === 4) reader.list(() => rowGroups.push(parseRowGroup(reader)));
    else reader.skip(type);
  });
  return { rows, leaves: leavesOf(elements), rowGroups };
}

function parseElement(reader: ThriftReader): SchemaElement {
  const element: SchemaElement = {
    physical: undefined,
    repetition: 0,
    name: "",
    children: 0,
    otherType: false,
  };
  reader.struct((id, type) => {
    if (id === 1) element.physical = reader.i32();
    else if (id === 3) element.repetition = reader.i32();
    else if (id === 4) element.name = reader.text();
    else if (id === 5) element.children = reader.i32();
    // Converted types: 0 is UTF8, 4 ENUM, 19 JSON.
    else if (id === 6) element.otherType ||= ![0, 4, 19].includes(reader.i32());
    else reader.skip(type);
  });
  return element;
}

function parseRowGroup(reader: ThriftReader): ParquetRowGroup {
  const columns: ParquetColumnChunk[] = [];
  let rows = -1;
  reader.struct((id, type) => {
    if (id === 1) reader.list(() => columns.push(parseColumnChunk(reader)));
    else if (id === 3) rows = reader.i64();
    else reader.skip(type);
  });
  return { rows, columns };
}

function parseColumnChunk(reader: ThriftReader): ParquetColumnChunk {
  let chunk: ParquetColumnChunk | undefined;
  reader.struct((id, type) => {
    if (id === 1) throw new ThriftError("its columns lie in other files, which is not supported");
    if (id === 3) chunk = parseColumnMetadata(reader);
    else reader.skip(type);
  });
  if (chunk === undefined) throw new ThriftError("a column is not described");
  return chunk;
}

function parseColumnMetadata(reader: ThriftReader): ParquetColumnChunk {
  let codec = 0;
  let values = -1;
  let bytes = -1;
  let dataOffset = -1;
  let dictionaryOffset = 0;
  reader.struct((id, type) => {
    if (id === 4) codec = reader.i32();
    else if (id === 5) values = reader.i64();
    else if (id === 7) bytes = reader.i64();
    else if (id === 9) dataOffset = reader.i64();
    else if (id === 11) dictionaryOffset = reader.i64();
    else reader.skip(type);
  });
  // Some writers give 0 for a dictionary there is not.
  const offset = dictionaryOffset > 0 ? Math.min(dictionaryOffset, dataOffset) : dataOffset;
  return { codec, values, offset, bytes };
}

/** The leaves of a schema, which is listed depth first. */
function leavesOf(elements: readonly SchemaElement[]): ParquetLeaf[] {
  const leaves: ParquetLeaf[] = [];
  let next = 1;
  const walk = (
    count: number,
    path: readonly string[],
    definition: number,
    repetition: number,
    entry: number,
  ) => {
    if (path.length > 16) throw new ThriftError("its schema is nested too deeply");
    for (let i = 0; i < count; i++) {
      const element = elements[next++];
      if (element === undefined) throw new ThriftError("its schema ends early");
      const { name, repetition: kind, children, physical } = element;
      const own = [...path, name];
      const ownDefinition = definition + (kind === 0 ? 0 : 1);
      const ownRepetition = repetition + (kind === 2 ? 1 : 0);
      const ownEntry = kind === 2 ? ownDefinition : entry;
      if (children > 0) {
        walk(children, own, ownDefinition, ownRepetition, ownEntry);
      } else if (physical !== undefined) {
        if (PHYSICAL_TYPES[physical] === undefined) throw new ThriftError(`there is no type ${physical}`);
        leaves.push({
          path: own,
          physical,
          text: physical === Physical.byteArray && !element.otherType,
          maxDefinition: ownDefinition,
          maxRepetition: ownRepetition,
          entryDefinition: ownEntry,
        });
      }
    }
  };
  walk(elements[0]?.children ?? 0, [], 0, 0, 0);
  if (next < elements.length) throw new ThriftError("its schema has loose ends");
  return leaves;
}

function checkFooter(file: RandomAccess, footer: ParsedFooter): ParsedFooter {
  const { rows, leaves, rowGroups } = footer;
  const damaged = (what: string) => corrupt(file.name, what);
  if (rows < 0) throw damaged("its footer does not say how many rows there are");
  if (rows > MAX_ROWS) {
    throw new DdscError(
      "DATA_TOO_LARGE",
      `${file.name}: claims ${rows} rows; at most 2^31 - 1 cells are supported`,
      {
        file: file.name,
      },
    );
  }
  let total = 0;
  for (const [group, { rows: groupRows, columns }] of rowGroups.entries()) {
    if (groupRows < 0) throw damaged(`row group ${group} has no number of rows`);
    if (columns.length !== leaves.length)
      throw damaged(`row group ${group} has ${columns.length} columns, the schema ${leaves.length}`);
    for (const { values, offset, bytes } of columns) {
      if (values < 0 || offset < 4 || bytes < 0 || offset + bytes > file.size - TAIL)
        throw damaged(`a column of row group ${group} lies outside the file`);
    }
    total += groupRows;
  }
  if (total !== rows) throw damaged(`its row groups have ${total} rows, its footer says ${rows}`);
  return footer;
}
