import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import type { LoadedBatch } from "../../lib/batching/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { emptyReport } from "../../lib/tokenizer/index.js";
import { RankTask } from "../../lib/training/rank_task.js";
import { StepsAhead } from "../../lib/training/steps_ahead.js";
import { smallModel } from "./small_run.js";

/** Batch number `i` of a loader: one cell of that number, with `i` tokens beside cls. */
function batch(i: number): LoadedBatch {
  const tokens = Int32Array.from({ length: i + 1 }, (_, at) => (at === 0 ? 0 : 2 + at));
  return {
    batch: {
      offsets: Int32Array.of(0, i + 1),
      genes: Int32Array.from(tokens, (_, at) => 1 + at),
      tokens,
      cells: Float64Array.of(i),
    },
    epoch: Math.floor(i / 5),
    next: { epoch: 0, window: 0, batch: i + 1 },
    report: { ...emptyReport(), cells: 1, tokens: i + 1 },
  };
}

/** A loader whose batches come when they are let go. */
class SlowLoader {
  asked = 0;
  closed = false;
  /** Batches that may come. */
  ready = 0;
  /** The batch that cannot be read. */
  damaged: number | undefined;

  async next(): Promise<IteratorResult<LoadedBatch, void>> {
    const i = this.asked++;
    while (this.ready <= i && !this.closed) await setImmediate();
    if (i === this.damaged) throw new DdscError("DATA_CORRUPT", `batch ${i} is damaged`);
    if (this.ready <= i) return { done: true, value: undefined };
    return { done: false, value: batch(i) };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

const OPTIONS = { seed: 3, accumulation: 2, first: 1, last: 4 };
/** Lets everything happen that can. */
const settled = async () => {
  for (let i = 0; i < 5; i++) await setImmediate();
};

let model: Denoiser;
let task: RankTask;
beforeEach(async () => {
  model = await smallModel();
  task = new RankTask(model);
});
afterEach(() => model[Symbol.dispose]());

describe("StepsAhead", () => {
  it("gives each step what it would have computed on alone, and where the data goes on after it", async () => {
    const loader = new SlowLoader();
    loader.ready = 8;
    await using steps = new StepsAhead(task, loader, OPTIONS);
    for (let step = 1; step <= 4; step++) {
      const loaded = await steps.take();
      const batches = [batch(2 * step - 2), batch(2 * step - 1)];
      const expected = await task.stepInput(
        batches.map((one) => one.batch),
        { seed: 3, step },
      );
      expect(loaded).toMatchObject(expected);
      expect(loaded.tokens - loaded.divisor).toBe(2);
      expect(loaded.position).toEqual({ epoch: 0, window: 0, batch: 2 * step });
      expect(loaded.epoch).toBe(batches[1]!.epoch);
      expect(loaded.report).toMatchObject({ cells: 2, tokens: loaded.tokens });
    }
  });

  it("has asked for the next step when one begins, and never for more than the last one needs", async () => {
    const loader = new SlowLoader();
    loader.ready = 100;
    await using steps = new StepsAhead(task, loader, OPTIONS);
    expect(loader.asked).toBe(0);
    const asked: number[] = [];
    for (let step = 1; step <= 4; step++) {
      await steps.take();
      asked.push(loader.asked);
    }
    expect(asked).toEqual([4, 6, 8, 8]);
    await expect(steps.take()).rejects.toThrow(/LOADER_FAILED/);
    expect(loader.asked).toBe(8);
  });

  it("stages the first input of the next step once its batches are there, once, for that step", async () => {
    const loader = new SlowLoader();
    loader.ready = 3;
    const stage = vi.spyOn(model.native, "stage");
    await using steps = new StepsAhead(task, loader, OPTIONS);
    expect((await steps.take()).staged).toBeUndefined();
    await settled();
    expect(stage).not.toHaveBeenCalled();
    steps.stageNext(model.native);
    expect(stage).not.toHaveBeenCalled();
    loader.ready = 4;
    await settled();
    expect(stage).toHaveBeenCalledOnce();
    steps.stageNext(model.native);
    expect(stage).toHaveBeenCalledOnce();
    const { inputs, staged } = await steps.take();
    expect(stage.mock.calls[0]?.[0]).toBe(inputs[0]);
    expect(staged).toBe(stage.mock.results[0]?.value);
    // Not while the step's own batches are computed on.
    loader.ready = 8;
    await settled();
    expect(stage).toHaveBeenCalledOnce();
    steps.stageNext(model.native);
    expect(stage).toHaveBeenCalledTimes(2);
  });

  it("frees what was staged for a step that is not taken", async () => {
    const loader = new SlowLoader();
    loader.ready = 8;
    const stage = vi.spyOn(model.native, "stage");
    {
      await using steps = new StepsAhead(task, loader, OPTIONS);
      await steps.take();
      await settled();
      steps.stageNext(model.native);
    }
    const options = { gradientScale: 1, dropoutSeed: 0, step: 1 };
    await expect(model.native.accumulate(stage.mock.results[0]?.value, options)).rejects.toThrow(
      /MODEL_DISPOSED.*staged/,
    );
  });

  it("keeps a failure until the step that needs the batch", async () => {
    const loader = new SlowLoader();
    loader.ready = 8;
    loader.damaged = 3;
    await using steps = new StepsAhead(task, loader, OPTIONS);
    await steps.take();
    await settled();
    steps.stageNext(model.native);
    await expect(steps.take()).rejects.toThrow(/DATA_CORRUPT: batch 3 is damaged/);
  });

  it("closes the loader and waits until nothing is read any more", async () => {
    const loader = new SlowLoader();
    loader.ready = 2;
    let reading = 0;
    const counting = {
      next: async () => {
        reading++;
        try {
          return await loader.next();
        } finally {
          reading--;
        }
      },
      close: () => loader.close(),
    };
    {
      await using steps = new StepsAhead(task, counting, OPTIONS);
      await steps.take();
      await settled();
      expect(reading).toBe(2);
    }
    expect(loader.closed).toBe(true);
    expect(reading).toBe(0);
  });
});
