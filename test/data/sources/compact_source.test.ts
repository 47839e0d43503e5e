import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BatchLoader } from "../../../lib/batching/index.js";
import { openCells, openSource } from "../../../lib/data/open/open_cells.js";
import { handoverOf } from "../../../lib/data/sources/source.js";
import { subsetSource } from "../../../lib/data/sources/subset.js";
import { CellTokenizer, GeneVocabulary } from "../../../lib/tokenizer/index.js";
import { allIds, CELLS, COUNTS, denseAll, temporaryFolder } from "../support.js";

const FIXTURES = join(import.meta.dirname, "../../fixtures");

/** A copy of a fixture that may be removed. */
function copied(kind: string, name: string): string {
  const path = join(temporaryFolder(), name);
  cpSync(join(FIXTURES, kind, name), path, { recursive: true });
  return path;
}

describe.each([
  ["matrix_market", "v3"],
  ["delimited", "described.csv.gz"],
  ["delimited", "genes.csv"],
])("%s/%s", (kind, name) => {
  it("is handed to another thread as what was made of it: the text is not read again", async () => {
    const path = copied(kind, name);
    using first = await openCells(path);
    rmSync(path, { recursive: true });
    using again = await openSource(structuredClone(handoverOf(first)));
    expect(await denseAll(again)).toEqual(COUNTS);
    expect(await allIds(again)).toEqual(CELLS);
    expect(again.genes).toEqual(first.genes);
    expect(again.notes).toEqual(first.notes);
    expect(again.partBounds).toEqual(first.partBounds);
    expect(again.metadataColumns).toEqual(first.metadataColumns);
    expect((await again.metadata()).toString()).toEqual((await first.metadata()).toString());
    expect(again.descriptor()).toEqual(first.descriptor());
    using part = subsetSource(again, Int32Array.of(4, 1));
    using partAgain = await openSource(handoverOf(part));
    expect(await denseAll(partAgain)).toEqual([COUNTS[4], COUNTS[1]]);
  });

  it("trains from it", async () => {
    const paths = [copied(kind, name), copied(kind, name)];
    using source = await openCells(paths);
    for (const path of paths) rmSync(path, { recursive: true });
    const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source) });
    await using loader = new BatchLoader(source, tokenizer, {
      limit: { kind: "cells", cells: 12 },
      seed: 1,
      epochs: 1,
    });
    const { value } = await loader.next();
    const expressed = COUNTS.filter((row) => row.some((count) => count > 0)).length;
    expect(value?.batch.cells.length).toBe(2 * expressed);
  });
});
