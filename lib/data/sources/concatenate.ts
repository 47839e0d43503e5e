import type { Table } from "apache-arrow";
import { DdscError } from "../../base/errors.js";
import { upperBound } from "../../base/search.js";
import { type Members, OpenMembers } from "../files/members.js";
import type { SourceTraits } from "../files/outlines.js";
import { uniteGenes } from "../genes/gene_union.js";
import { arrowTable } from "../tables/arrow_table.js";
import type {
  CellBlock,
  Gene,
  MeasuredPanels,
  MetadataColumn,
  MetadataOptions,
  SourceContents,
} from "./cells.js";
import { checkRows } from "./checked_counts.js";
import type { SourceDescriptor } from "./descriptor.js";
import { columnOf, missingColumn } from "./frame.js";
import { joinPanels } from "./panels.js";
import { rowRange } from "./parts.js";
import type { CellSource } from "./source.js";
import { joinContents } from "./source_contents.js";

/** Rows of one of the sources, and where they stand among the rows asked for. */
interface Share {
  readonly source: number;
  /** Row numbers in that source. */
  readonly rows: Int32Array;
  /** Place of each among the rows asked for. */
  readonly places: Int32Array;
}

/**
 * Cells of several sources as one source: the cells of the first, then those of the second, ...; the union of their genes
 * (`uniteGenes`), of which each cell measures those of its own source (`panels`), and of their metadata columns, null where
 * a source does not have one; a column that is text in one is text in all. Of thousands of files a few are open: see
 * `openCells`. Disposing of it disposes of them. Throws `DATA_TOO_LARGE` for more than 2^31 - 1 cells.
 */
export class ConcatenatedSource implements CellSource {
  readonly name: string;
  readonly cellCount: number;
  readonly genes: readonly Gene[];
  readonly panels: MeasuredPanels | undefined;
  readonly partBounds: Float64Array;
  readonly metadataColumns: readonly MetadataColumn[];
  readonly contents: SourceContents | undefined;
  readonly #members: Members;
  /** By number of a source's traits. */
  readonly #columns: readonly (Int32Array | undefined)[];
  readonly #ownNotes: readonly string[];

  /** `notes` is what was noticed about them together, told first. */
  constructor(sources: readonly CellSource[] | Members, name: string, notes: readonly string[] = []) {
    const members = "outlines" in sources ? sources : new OpenMembers(sources);
    const { traits, traitsOf, firstRow, partBounds } = members.outlines;
    this.name = name;
    this.#members = members;
    this.cellCount = firstRow.at(-1) ?? 0;
    if (this.cellCount > 0x7fff_ffff) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${name}: ${this.cellCount} cells together; at most 2^31 - 1 are supported: name fewer files`,
        { file: name },
      );
    }
    const united = uniteGenes(
      traits.map(({ genes }, number) => ({ genes, name: members.nameOf(traitsOf.indexOf(number)) })),
    );
    this.genes = united.genes;
    this.#columns = united.columns;
    this.panels = joinPanels(members.outlines, united.columns, united.genes.length);
    this.#ownNotes = [...notes, ...united.notes];
    this.partBounds = partBounds;
    this.metadataColumns = joinColumns(traits);
    this.contents = joinContents(traits);
  }

  get notes(): readonly string[] {
    return [...this.#ownNotes, ...this.#members.notes];
  }

  async cellIds(rows: Int32Array): Promise<readonly string[]> {
    checkRows(rows, this.cellCount, this.name);
    const ids = new Array<string>(rows.length).fill("");
    for (const { source, rows: own, places } of this.#shares(rows)) {
      const found = await this.#members.use(source, (open) => open.cellIds(own));
      for (const [i, place] of places.entries()) ids[place] = found[i] ?? "";
    }
    return ids;
  }

  async metadata(options: MetadataOptions = {}): Promise<Table> {
    const { rows = rowRange(0, this.cellCount) } = options;
    checkRows(rows, this.cellCount, this.name);
    const names = this.metadataColumns.map(({ name }) => name);
    const wanted = (options.columns ?? names).map((name) => {
      const column = this.metadataColumns.find((known) => known.name === name);
      if (column === undefined) throw missingColumn(this.name, name, names);
      return { ...column, values: new Array<unknown>(rows.length).fill(null) };
    });
    if (wanted.length === 0) return arrowTable(new Map());
    for (const { source, rows: own, places } of this.#shares(rows)) {
      const { traits, traitsOf } = this.#members.outlines;
      const known = new Set(traits[traitsOf[source] ?? 0]?.metadataColumns.map(({ name }) => name));
      const columns = wanted.filter(({ name }) => known.has(name));
      if (columns.length === 0) continue;
      const table = await this.#members.use(source, (open) =>
        open.metadata({ columns: columns.map(({ name }) => name), rows: own }),
      );
      for (const { name, kind, values } of columns) {
        const vector = table.getChild(name);
        for (const [i, place] of places.entries()) {
          const value: unknown = vector?.get(i);
          values[place] = kind === "text" && value !== null ? String(value) : value;
        }
      }
    }
    return arrowTable(new Map(wanted.map(({ name, kind, values }) => [name, columnOf(kind, values)])));
  }

  async read(rows: Int32Array, signal?: AbortSignal): Promise<CellBlock> {
    checkRows(rows, this.cellCount, this.name);
    const shares = this.#shares(rows);
    const blocks: CellBlock[] = [];
    for (const { source, rows: own } of shares) {
      const block = await this.#members.use(source, (open) => open.read(own, signal));
      blocks.push(withColumns(block, this.#columns[this.#members.outlines.traitsOf[source] ?? 0]));
    }
    const [first] = blocks;
    // All from one source: in order already.
    if (first !== undefined && blocks.length === 1) return { ...first, rows: rows.slice() };
    return mergeBlocks(rows, shares, blocks);
  }

  /** Undefined where one of the sources does not tell. */
  storedCounts(rows: Int32Array): Int32Array | undefined {
    checkRows(rows, this.cellCount, this.name);
    const stored = new Int32Array(rows.length);
    for (const { source, rows: own, places } of this.#shares(rows)) {
      const told = this.#members.storedCounts(source, own);
      if (told === undefined) return undefined;
      for (const [i, place] of places.entries()) stored[place] = told[i] ?? 0;
    }
    return stored;
  }

  descriptor(): SourceDescriptor {
    return this.#members.descriptor(this.name);
  }

  handover(): SourceDescriptor {
    return this.#members.handover(this.name);
  }

  /** Closes all of them. */
  [Symbol.dispose](): void {
    this.#members[Symbol.dispose]();
  }

  /** The rows by source, in the order of the sources, each in the order given. */
  #shares(rows: Int32Array): Share[] {
    const { firstRow } = this.#members.outlines;
    const placesOf = new Map<number, number[]>();
    for (const [place, row] of rows.entries()) {
      const source = upperBound(firstRow, row) - 1;
      const places = placesOf.get(source);
      if (places === undefined) placesOf.set(source, [place]);
      else places.push(place);
    }
    return [...placesOf]
      .sort(([a], [b]) => a - b)
      .map(([source, found]) => {
        const places = Int32Array.from(found);
        const first = firstRow[source] ?? 0;
        return { source, places, rows: places.map((place) => (rows[place] ?? 0) - first) };
      });
  }
}

function joinColumns(traits: readonly SourceTraits[]): MetadataColumn[] {
  const kinds = new Map<string, MetadataColumn["kind"]>();
  for (const { metadataColumns } of traits) {
    for (const { name, kind } of metadataColumns) {
      kinds.set(name, (kinds.get(name) ?? kind) === kind ? kind : "text");
    }
  }
  return Array.from(kinds, ([name, kind]) => ({ name, kind }));
}

/** A block with the columns of the union in place of its own. */
function withColumns(block: CellBlock, columns: Int32Array | undefined): CellBlock {
  if (columns === undefined) return block;
  const { rows, offsets } = block;
  const united = block.owned === true ? block.columns : block.columns.slice();
  const counts = block.owned === true ? block.counts : block.counts.slice();
  for (let i = 0; i < united.length; i++) united[i] = columns[united[i] as number] ?? 0;
  for (let cell = 0; cell < rows.length; cell++)
    sortCell(united, counts, offsets[cell] ?? 0, offsets[cell + 1] ?? 0);
  return { rows, offsets, columns: united, counts, owned: true };
}

/** Sorts the counts of one cell by column, unless they are. */
function sortCell(columns: Int32Array, counts: Float32Array, start: number, end: number): void {
  let sorted = true;
  for (let i = start + 1; i < end && sorted; i++) sorted = (columns[i - 1] ?? 0) < (columns[i] ?? 0);
  if (sorted) return;
  const order = Uint32Array.from({ length: end - start }, (_, i) => start + i);
  order.sort((a, b) => (columns[a] ?? 0) - (columns[b] ?? 0));
  const sortedColumns = Int32Array.from(order, (from) => columns[from] ?? 0);
  const sortedCounts = Float32Array.from(order, (from) => counts[from] ?? 0);
  columns.set(sortedColumns, start);
  counts.set(sortedCounts, start);
}

/** The cells of several blocks in the order that was asked for. */
function mergeBlocks(rows: Int32Array, shares: readonly Share[], blocks: readonly CellBlock[]): CellBlock {
  const offsets = new Int32Array(rows.length + 1);
  for (const [i, { places }] of shares.entries()) {
    const own = blocks[i]?.offsets;
    for (const [cell, place] of places.entries())
      offsets[place + 1] = (own?.[cell + 1] ?? 0) - (own?.[cell] ?? 0);
  }
  for (let place = 0; place < rows.length; place++)
    offsets[place + 1] = (offsets[place + 1] ?? 0) + (offsets[place] ?? 0);
  const columns = new Int32Array(offsets[rows.length] ?? 0);
  const counts = new Float32Array(columns.length);
  for (const [i, { places }] of shares.entries()) {
    const block = blocks[i];
    if (block === undefined) continue;
    for (const [cell, place] of places.entries()) {
      const bounds = [block.offsets[cell], block.offsets[cell + 1]] as const;
      columns.set(block.columns.subarray(...bounds), offsets[place]);
      counts.set(block.counts.subarray(...bounds), offsets[place]);
    }
  }
  return { rows: rows.slice(), offsets, columns, counts, owned: true };
}
