import { describe, expect, it } from "vitest";
import { withSection } from "../../bench/record.js";
import { comparisons } from "../../bench/vs_torch_cases.js";
import { comparisonRow, reportSection, rowInWords } from "../../bench/vs_torch_report.js";

const ids = (only: readonly string[], quick = false) =>
  comparisons({ quick, only, pairs: 3 }).map(({ id }) => id);

describe("the choice of comparisons", () => {
  it("is all of them where nothing is chosen, each once", () => {
    const all = ids([]);
    expect(new Set(all).size).toBe(all.length);
    for (const id of [
      "train-fp32-tiny",
      "train-bf16-small",
      "forward-fp32-small",
      "forward-bf16-tiny",
      "train-fp32-tiny-avx2",
      "forward-fp32-tiny-avx2",
      "inpaint-fp32-tiny",
      "inpaint-bf16-tiny",
    ])
      expect(all).toContain(id);
  });

  it("takes a whole name for that one, and a part for all that have it", () => {
    expect(ids(["train-fp32-tiny"])).toEqual(["train-fp32-tiny"]);
    expect(ids(["avx2"])).toEqual(["train-fp32-tiny-avx2", "forward-fp32-tiny-avx2"]);
    expect(ids(["forward-bf16", "inpaint-fp32"])).toEqual([
      "forward-bf16-tiny",
      "forward-bf16-small",
      "inpaint-fp32-tiny",
    ]);
    expect(ids(["nothing"])).toEqual([]);
  });

  it("is small where it is to be quick", () => {
    for (const { preset, batch, pairs } of comparisons({ quick: true, only: [], pairs: 9 })) {
      expect(preset).toBe("tiny");
      expect(batch).toBeLessThanOrEqual(4);
      expect(pairs).toBe(1);
    }
    expect(ids([], true).length).toBeGreaterThan(0);
  });

  it("holds only the AVX2 pair to AVX2, and takes the sizes the tables name", () => {
    for (const { id, avx2, preset, batch, what } of comparisons({ quick: false, only: [], pairs: 3 })) {
      expect(avx2).toBe(id.endsWith("avx2"));
      expect(batch).toBe(what === "inpaint" ? 64 : preset === "tiny" ? 4 : 2);
    }
  });
});

const [comparison] = comparisons({ quick: false, only: ["forward-fp32-tiny"], pairs: 3 });
const row = comparisonRow({
  comparison: comparison!,
  ours: [1, 2, 4],
  peers: [3, 3, 6],
  evaluations: null,
});

describe("a row of the comparison", () => {
  it("gives the median of the ratios of pairs, not the ratio of the medians", () => {
    expect(row).toMatchObject({
      seconds: 2,
      peerSeconds: 3,
      ratio: 1.5,
      ratioMin: 1.5,
      ratioMax: 3,
      pairs: 3,
    });
    const other = comparisonRow({
      comparison: comparison!,
      ours: [1, 2, 4],
      peers: [4, 2, 4],
      evaluations: 2,
    });
    expect(other).toMatchObject({ seconds: 2, peerSeconds: 4, ratio: 1, ratioMin: 1, ratioMax: 4 });
  });

  it("says in words what was compared", () => {
    expect(rowInWords(row, "PyTorch 1")).toBe(
      "forward, tiny 4 x 1024, fp32: 1.50 times as fast as PyTorch 1 (1.50 to 3.00 in 3 pairs; 2 s against 3 s)",
    );
  });
});

describe("the recorded section", () => {
  const section = reportSection([row, { ...row, avx2: true, evaluations: 2 }], "PyTorch 1", {
    date: "2026-01-02",
    cpu: "a processor",
    device: "cpu (avx512, 2 threads)",
    command: "npm run x",
  });

  it("has a line for each row and says where, when and how", () => {
    expect(section).toContain("| forward, tiny 4 x 1024, fp32 | 2 | 3 | 1.50 (1.50 to 3.00) | 3 |");
    expect(section).toContain("fp32, AVX2 only, 2 runs of the network a cell |");
    for (const word of ["2026-01-02", "a processor", "cpu (avx512, 2 threads)", "PyTorch 1", "npm run x"])
      expect(section).toContain(word);
  });

  it("takes the place of the one before, and of nothing else", () => {
    const document = "# A\n<!-- bench:vs-torch -->\nold\n<!-- /bench:vs-torch -->\nafter\n";
    const once = withSection(document, "a.md", "vs-torch", section);
    expect(once).toBe(`# A\n<!-- bench:vs-torch -->\n${section}\n<!-- /bench:vs-torch -->\nafter\n`);
    expect(withSection(once, "a.md", "vs-torch", section)).toBe(once);
  });

  it("is refused by a document without marks", () => {
    expect(() => withSection("# A\n", "a.md", "vs-torch", section)).toThrow("BENCH_RECORD: a.md: the marks");
  });
});
