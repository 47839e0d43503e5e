import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { readsAhead } from "../../lib/base/reads_ahead.js";

describe("readsAhead", () => {
  it("gives results in order, two reads begun beyond the one that is given out", async () => {
    const begun: number[] = [];
    const seen: number[][] = [];
    for await (const result of readsAhead([0, 1, 2, 3, 4], async (item) => {
      begun.push(item);
      await setTimeout(5 - item);
      return item;
    }))
      seen.push([result, begun.length]);
    expect(seen).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
      [3, 5],
      [4, 5],
    ]);
  });

  it("throws an error in its turn, after what came before it", async () => {
    const seen: number[] = [];
    const all = async () => {
      for await (const result of readsAhead([0, 1, 2], async (item) => {
        if (item === 1) throw new Error("broken");
        return item;
      }))
        seen.push(result);
    };
    await expect(all()).rejects.toThrow("broken");
    expect(seen).toEqual([0]);
  });

  it("waits for what is under way when its consumer leaves early", async () => {
    let ended = 0;
    for await (const _ of readsAhead([0, 1, 2, 3], async (item) => {
      await setTimeout(10 * item);
      ended++;
    }))
      break;
    expect(ended).toBe(3);
  });

  it("gives nothing for nothing", async () => {
    for await (const _ of readsAhead([], async () => 1)) expect.unreachable();
  });
});
