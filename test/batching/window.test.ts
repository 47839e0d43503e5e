import { describe, expect, it } from "vitest";
import { BatchLoader } from "../../lib/batching/index.js";
import { CellWindow } from "../../lib/batching/window.js";
import type { CellBlock } from "../../lib/data/sources/cells.js";
import { gatherCells } from "../../lib/data/sources/gather.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { HeldMemory } from "../../lib/native/tokens.js";
import { CellTokenizer, GeneVocabulary } from "../../lib/tokenizer/index.js";
import { variedSource } from "./small_source.js";

const source = variedSource(40);
const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source), maxLength: 12, seed: 4 });
const mapping = tokenizer.map(source);
const rows = (first: number, end: number) => Int32Array.from({ length: end - first }, (_, i) => first + i);

async function windowOf(memory = new HeldMemory()): Promise<CellWindow> {
  // Not in the order of their rows.
  const blocks = await Promise.all([
    source.read(rows(25, 40)),
    source.read(rows(0, 10)),
    source.read(rows(10, 25)),
  ]);
  for (const { columns, counts } of blocks) memory.hold(columns, counts);
  return new CellWindow(0, 3, blocks, [memory]);
}

describe("a window of cells", () => {
  it("gives any of its cells, lowest row first, whatever the order in which blocks came", async () => {
    const window = await windowOf();
    const places = Int32Array.of(39, 0, 17, 17, 26);
    expect(gatherCells(window.blocks, window.placesOf(places))).toEqual(
      gatherCells([await source.read(places)], Int32Array.of(0, 0, 0, 1, 0, 2, 0, 3, 0, 4)),
    );
    expect(() => window.placesOf(Int32Array.of(40))).toThrow(/WINDOW_MISSING_ROW/);
  });

  it("is tokenized off the event loop to the tokens of the definition", async () => {
    const window = await windowOf();
    const calls = [Int32Array.of(39, 0, 17, 26), Int32Array.of(3), rows(0, 40), new Int32Array(0)];
    const made = await Promise.all(
      calls.map((places) => tokenizer.tokenizePicked(window.blocks, window.placesOf(places), mapping, 3)),
    );
    for (const [i, places] of calls.entries()) {
      expect(made[i]).toEqual(tokenizer.tokenizeHere(await source.read(places), mapping, 3));
    }
  });

  it("refuses cells that are in no block", async () => {
    const { blocks } = await windowOf();
    for (const picked of [
      Int32Array.of(0, 10),
      Int32Array.of(3, 0),
      Int32Array.of(-1, 0),
      Int32Array.of(0, -1),
    ]) {
      await expect(tokenizer.tokenizePicked(blocks, picked, mapping, 0)).rejects.toThrow(/ARGUMENT_RANGE/);
    }
  });

  it("frees the memory it was given charge of, and no other", async () => {
    const window = await windowOf();
    window.free();
    for (const { columns, counts } of window.blocks) expect([columns.length, counts.length]).toEqual([0, 0]);
    window.free();
    const shared = new Float32Array(8).subarray(0, 4);
    const memory = new HeldMemory();
    memory.hold(shared);
    memory.free();
    expect(shared.length).toBe(4);
  });
});

describe("a loader of blocks that may be freed", () => {
  /** Blocks whose memory the loader may free, and all that were given out. */
  function owning() {
    const given: CellBlock[] = [];
    const cells = variedSource(100);
    const owner = new MemorySource(
      (cells.descriptor() as { cells: ConstructorParameters<typeof MemorySource>[0] }).cells,
    );
    const read = owner.read.bind(owner);
    owner.read = async (wanted, signal) => {
      const block = { ...(await read(wanted, signal)), owned: true };
      given.push(block);
      return block;
    };
    return { owner, given };
  }
  const options = { limit: { kind: "cells", cells: 9 }, seed: 2, worker: false, windowCells: 20 } as const;

  it("gives the batches that it gives without, and frees every block", async () => {
    const { owner, given } = owning();
    const plain = new BatchLoader(variedSource(100), tokenizer, { ...options, epochs: 2 });
    const freeing = new BatchLoader(owner, tokenizer, { ...options, epochs: 2 });
    for await (const loaded of plain) expect((await freeing.next()).value).toEqual(loaded);
    expect((await freeing.next()).done).toBe(true);
    expect(given.every(({ columns }) => columns.length === 0)).toBe(true);
  });

  it("frees the blocks of a window that was not used up", async () => {
    const { owner, given } = owning();
    const loader = new BatchLoader(owner, tokenizer, options);
    await loader.next();
    await loader.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(given.length).toBeGreaterThan(0);
    expect(given.every(({ columns }) => columns.length === 0)).toBe(true);
  });
});
