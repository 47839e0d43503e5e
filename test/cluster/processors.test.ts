import { describe, expect, it } from "vitest";
import { shareProcessors } from "../../lib/cluster/processors.js";

describe("the processors of a machine", () => {
  it("are divided among the ranks that may all run on them", () => {
    const all = Array.from({ length: 3 }, () => ({ machine: "a", processors: [0, 1, 2, 3, 4, 5, 6, 7] }));
    expect(shareProcessors(all, 1)).toEqual({ threads: 2, localRank: 1, localWorld: 3 });
  });

  it("are a rank's own where the launcher bound it to them", () => {
    const bound = [0, 1].map((rank) => ({ machine: "a", processors: [4 * rank, 4 * rank + 1] }));
    expect(shareProcessors(bound, 1)).toEqual({ threads: 2, localRank: 1, localWorld: 2 });
  });

  it("of other machines do not count, and everyone has one", () => {
    const all = [
      { machine: "a", processors: [0, 1] },
      { machine: "b", processors: [0] },
      { machine: "b", processors: [0] },
    ];
    expect(shareProcessors(all, 0)).toEqual({ threads: 2, localRank: 0, localWorld: 1 });
    expect(shareProcessors(all, 2)).toEqual({ threads: 1, localRank: 1, localWorld: 2 });
  });
});
