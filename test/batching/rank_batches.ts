import fc from "fast-check";
import { expect } from "vitest";
import {
  BatchLoader,
  type BatchLoaderOptions,
  concatenateBatches,
  type LoadedBatch,
} from "../../lib/batching/index.js";
import type { CellSource } from "../../lib/data/sources/source.js";
import {
  addReport,
  CellTokenizer,
  CountTokens,
  emptyReport,
  GeneVocabulary,
} from "../../lib/tokenizer/index.js";

/** The source, and the rows that it is asked for from then on. */
export function recorded<Source extends CellSource>(source: Source): { source: Source; asked: number[] } {
  const asked: number[] = [];
  const read = source.read.bind(source);
  source.read = async (rows, signal) => {
    asked.push(...rows);
    return read(rows, signal);
  };
  return { source, asked };
}

export function tokenizerOf(source: CellSource, values: "ranks" | "counts" = "ranks"): CellTokenizer {
  const strategy = values === "counts" ? { strategy: new CountTokens() } : {};
  return new CellTokenizer({ vocabulary: GeneVocabulary.from(source), maxLength: 12, seed: 4, ...strategy });
}

export async function collect(
  source: CellSource,
  options: BatchLoaderOptions,
  tokenizer = tokenizerOf(source),
): Promise<LoadedBatch[]> {
  const batches: LoadedBatch[] = [];
  await using loader = new BatchLoader(source, tokenizer, options);
  for await (const loaded of loader) batches.push(loaded);
  return batches;
}

/** What each rank gets, and the rows that it read. */
export async function byRank(
  world: number,
  options: BatchLoaderOptions,
  make: () => CellSource,
  values: "ranks" | "counts" = "ranks",
): Promise<{ readonly batches: LoadedBatch[]; readonly asked: readonly number[] }[]> {
  const ranks = Array.from({ length: world }, async (_, rank) => {
    const { source, asked } = recorded(make());
    const tokenizer = tokenizerOf(source, values);
    return { batches: await collect(source, { ...options, share: { rank, world } }, tokenizer), asked };
  });
  return Promise.all(ranks);
}

/** The ranks' shares of each batch put together. */
export function joined(ranks: readonly { readonly batches: readonly LoadedBatch[] }[]): LoadedBatch[] {
  const [first] = ranks;
  return first!.batches.map((one, i) => {
    const report = emptyReport();
    for (const { batches } of ranks) addReport(report, batches[i]!.report);
    for (const { batches } of ranks) expect(batches[i]!.next).toEqual(one.next);
    return { ...one, report, batch: concatenateBatches(ranks.map(({ batches }) => batches[i]!.batch)) };
  });
}

export const ascending = (rows: readonly number[]) => [...rows].sort((a, b) => a - b);
const numbers = { cells: 0, tokens: 0, emptyCells: 0, shortenedCells: 0, leftOutGenes: 0 };
export const counted = (loaded: readonly LoadedBatch[]) => {
  const report = emptyReport();
  for (const one of loaded) addReport(report, one.report);
  return Object.fromEntries(Object.keys(numbers).map((name) => [name, report[name as "cells"]]));
};

/** Of ranks, up to so many, that begin anywhere in two epochs: what is left of the batches of one process. */
export async function expectToGoOn(
  make: () => CellSource,
  options: BatchLoaderOptions,
  { mostRanks, runs }: { readonly mostRanks: number; readonly runs: number },
): Promise<void> {
  const epochs = 2;
  const expected = await collect(make(), { ...options, epochs });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: expected.length - 1 }),
      fc.integer({ min: 1, max: mostRanks }),
      async (stop, world) => {
        const start = stop === 0 ? undefined : expected[stop - 1]!.next;
        const rest = joined(await byRank(world, { ...options, epochs, ...(start && { start }) }, make));
        expect(rest.map(({ batch, next }) => ({ batch, next }))).toEqual(
          expected.slice(stop).map(({ batch, next }) => ({ batch, next })),
        );
      },
    ),
    { numRuns: runs },
  );
}
