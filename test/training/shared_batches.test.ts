import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { BatchLoader, type BatchLoaderOptions, type LoadedBatch } from "../../lib/batching/index.js";
import { alone, type Cluster } from "../../lib/cluster/cluster.js";
import { MemorySource } from "../../lib/data/sources/memory.js";
import { CellTokenizer, emptyReport, GeneVocabulary } from "../../lib/tokenizer/index.js";
import { RankTask } from "../../lib/training/rank_task.js";
import { SharedBatches } from "../../lib/training/ranks/shared_batches.js";
import { StepsAhead } from "../../lib/training/steps_ahead.js";
import { smallCells, variedSource } from "../batching/small_source.js";
import { together } from "../cluster/in_process.js";
import { smallModel, smallSource } from "./small_run.js";

const source = variedSource(90);
const tokenizer = new CellTokenizer({ vocabulary: GeneVocabulary.from(source), maxLength: 12, seed: 4 });
const options: BatchLoaderOptions = {
  limit: { kind: "cells", cells: 7 },
  seed: 2,
  windowCells: 40,
  worker: false,
};

function loaderOf(cluster: Cluster, from = source, more: Partial<BatchLoaderOptions> = {}): BatchLoader {
  const { rank, world } = cluster;
  return new BatchLoader(from, tokenizer, { ...options, ...more, share: { rank, world } });
}

/** A loader of what is given. */
function given(items: readonly (LoadedBatch | Error)[]): Pick<BatchLoader, "next" | "close"> {
  let i = 0;
  return {
    next: async () => {
      await setImmediate();
      const item = items[i++];
      if (item instanceof Error) throw item;
      return item === undefined ? { done: true, value: undefined } : { done: false, value: item };
    },
    close: async () => undefined,
  };
}

/** A share of as many cells, of one token beside cls. */
function share(cells: number, batch: number, epoch = 0, nextEpoch = epoch): LoadedBatch {
  const tokens = Int32Array.from({ length: 2 * cells }, (_, i) => (i % 2 === 0 ? 0 : 2));
  return {
    batch: {
      offsets: Int32Array.from({ length: cells + 1 }, (_, i) => 2 * i),
      genes: tokens.map(() => 3),
      tokens,
      cells: Float64Array.from({ length: cells }, (_, i) => i),
    },
    epoch,
    next: { epoch: nextEpoch, window: 0, batch: nextEpoch > epoch ? 0 : batch + 1 },
    report: { ...emptyReport(), cells, tokens: 2 * cells, emptyCells: 1 },
  };
}

describe("batches that ranks share", () => {
  it("are of the same cells, in the same order, with the same sums, whatever the number of ranks", async () => {
    const whole = await new SharedBatches(loaderOf(alone), alone).take(30);
    for (const world of [2, 3]) {
      const ranks = await together(world, async (cluster) => {
        const batches = new SharedBatches(loaderOf(cluster), cluster);
        // Of several sizes, with and without others ahead.
        return [...(await batches.take(4, 4)), ...(await batches.take(10)), ...(await batches.take(16, 1))];
      });
      for (const [i, { loaded }] of whole.entries()) {
        const cells = ranks.flatMap((batches) => [...batches[i]!.loaded.batch.cells]);
        expect(cells).toEqual([...loaded.batch.cells]);
        let before = 0;
        for (const batches of ranks) {
          const { loaded: own, others } = batches[i]!;
          const count = own.batch.cells.length;
          expect(others).toMatchObject({ before, cells: cells.length - count });
          const valid = (tokens: Int32Array) => tokens.filter((token) => token > 1).length;
          expect(others.validTokens).toBe(valid(loaded.batch.tokens) - valid(own.batch.tokens));
          before += count;
          const { skippedRows: _, ...report } = own.report;
          const { skippedRows: __, ...expected } = loaded.report;
          expect(report).toEqual(expected);
          expect(own.next).toEqual(loaded.next);
        }
      }
    }
  });

  it("are passed over where no rank has a cell of them, and not where one has", async () => {
    const items = [
      [share(0, 0), share(1, 1), share(0, 2), share(2, 3)],
      [0, 0, 3, 0].map((n, i) => share(n, i)),
    ];
    const ranks = await together(2, (cluster) =>
      new SharedBatches(given(items[cluster.rank]!), cluster).take(3),
    );
    expect(ranks[0]!.map(({ loaded }) => loaded.next.batch)).toEqual([2, 3, 4]);
    for (const batches of ranks) {
      expect(batches.map(({ loaded, others }) => loaded.batch.cells.length + others.cells)).toEqual([
        1, 3, 2,
      ]);
      // What was left out of the batch that was passed over is told with the next one.
      expect(batches.map(({ loaded }) => loaded.report.emptyCells)).toEqual([4, 2, 2]);
    }
  });

  it("end in the error given where an epoch has no cell that can be used", async () => {
    const empty = new MemorySource(smallCells([[], [], []], 30));
    const none = () => new DdscError("DATA_NO_CELLS", "nothing");
    const ranks = await together(2, async (cluster) =>
      new SharedBatches(loaderOf(cluster, empty), cluster, none).take(1).catch((error: unknown) => error),
    );
    for (const error of ranks) expect(error).toMatchObject({ code: "DATA_NO_CELLS" });
  });

  it("end on every rank in the error of the one that cannot read its cells", async () => {
    const bad = new DdscError("DATA_NEGATIVE_COUNT", "cells.h5ad: row 17: -3", { row: 17 });
    const ranks = await together(3, async (cluster) => {
      const items = [share(1, 0), cluster.rank === 1 ? bad : share(1, 1)];
      const batches = new SharedBatches(given(items), cluster);
      expect(await batches.take(1, 1)).toHaveLength(1);
      return batches.take(1).catch((error: unknown) => error);
    });
    for (const error of ranks)
      expect(error).toMatchObject({ code: "DATA_NEGATIVE_COUNT", place: { row: 17 } });
    expect(ranks[1]).toBe(bad);
  });

  it("are refused where ranks cut their data into other batches", async () => {
    const ranks = await together(2, async (cluster) =>
      new SharedBatches(given([share(1, cluster.rank)]), cluster).take(1).catch((error: unknown) => error),
    );
    expect((ranks[0] as Error).message).toMatch(
      /CLUSTER_MISMATCH: rank 1 cuts its data into other batches than rank 0/,
    );
    expect((ranks[1] as Error).message).toMatch(/CLUSTER_MISMATCH: rank 0 cuts/);
  });
});

describe("steps that ranks share", () => {
  it("are told of between steps, never while one computes", async () => {
    using model = await smallModel();
    const task = new RankTask(model);
    const cells = smallSource();
    await together(2, async (cluster) => {
      let telling = 0;
      const watched: Cluster = {
        ...cluster,
        gather: async (value) => {
          telling++;
          try {
            return await cluster.gather(value);
          } finally {
            telling--;
          }
        },
      };
      const { rank, world } = cluster;
      const loader = new BatchLoader(cells, model.tokenizer, { ...options, share: { rank, world } });
      const steps = { seed: 3, accumulation: 2, first: 1, last: 5, cluster: watched };
      await using ahead = new StepsAhead(task, loader, steps);
      await ahead.ready();
      for (let step = 1; step <= 5; step++) {
        const { divisor } = await ahead.take();
        expect(telling).toBe(0);
        for (let turn = 0; turn < 20; turn++) {
          await setImmediate();
          expect(telling).toBe(0);
        }
        expect(await cluster.gather(divisor)).toEqual([divisor, divisor]);
      }
    });
  });

  it("draw for each cell what one process draws for it", async () => {
    using model = await smallModel({ diffusion: { antithetic: true } });
    const task = new RankTask(model);
    const cells = smallSource();
    const stepsOf = async (cluster: Cluster) => {
      const { rank, world } = cluster;
      const loader = new BatchLoader(cells, model.tokenizer, { ...options, share: { rank, world } });
      await using ahead = new StepsAhead(task, loader, {
        seed: 3,
        accumulation: 2,
        first: 1,
        last: 3,
        cluster,
      });
      const times = new Map<string, number>();
      let divisors = 0;
      for (let step = 1; step <= 3; step++) {
        const { inputs, divisor } = await ahead.take();
        divisors += divisor;
        for (const input of inputs) {
          if (!("noise" in input)) throw new Error("not of ranks");
          for (const [i, cell] of input.batch.cells.entries())
            times.set(`${step} ${cell}`, input.noise.time[i]!);
        }
      }
      return { times, divisors };
    };
    const whole = await stepsOf(alone);
    const ranks = await together(3, stepsOf);
    expect(new Map(ranks.flatMap(({ times }) => [...times]).sort())).toEqual(
      new Map([...whole.times].sort()),
    );
    for (const { divisors } of ranks) expect(divisors).toBe(whole.divisors);
  });
});
