import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Denoiser, openCells, reportFile } from "../../lib/index.js";
import { Opened } from "../../lib/model/opened.js";
import { collectReport } from "../../lib/report/collect/collect.js";
import { openSubject } from "../../lib/report/collect/subject.js";
import { collectNotes } from "../../lib/tasks/hooks.js";
import { type SmallStudy, smallStudy } from "./small_report.js";

let study: SmallStudy;
beforeAll(async () => {
  study = await smallStudy();
});
afterAll(() => rm(study.folder, { recursive: true }));

/** What a report of a run shows. */
async function collected(run: string, cells?: number) {
  using opened = new Opened();
  const hooks = collectNotes();
  const load = async () => opened.own(await Denoiser.load(run));
  const subject = await openSubject({ folder: run, given: undefined, load }, opened, hooks);
  const options = { cells, by: undefined, seed: 3, signal: undefined, onProgress: () => undefined };
  return await collectReport(subject, options, hooks);
}

describe("what a report is made of", () => {
  it("is plain JSON, the same for the same seed, of whole cells and genes", async () => {
    const { made: _, ...data } = await collected(study.run);
    const { made: __, ...again } = await collected(study.run);
    const timeless = (text: string) => text.replaceAll(/"seconds":[\d.e-]+/g, "");
    expect(timeless(JSON.stringify(again))).toBe(timeless(JSON.stringify(data)));
    expect(JSON.parse(JSON.stringify(data))).toEqual(data);
    if ("missing" in data.generated || "missing" in data.map || "missing" in data.genes)
      throw new Error("missing");
    const { totals, genes, real, correlations, comparison } = data.generated.made;
    expect(totals.generated).toHaveLength(totals.real.length);
    expect(comparison.cells).toBe(totals.real.length);
    expect([genes.length, real.zeros.length, data.genes.made.length]).toEqual([24, 24, 24]);
    expect(correlations.real).toHaveLength(correlations.genes.length ** 2);
    for (const [i] of correlations.genes.entries())
      expect(correlations.real[i * correlations.genes.length + i]).toBe(1);
    // Most misunderstood genes first.
    const excess = data.genes.made.map(({ model, baseline }) => model - baseline);
    expect(excess).toEqual([...excess].sort((a, b) => b - a));
    expect(new Set(data.map.made.labels)).toEqual(new Set(["B", "T"]));
    expect(data.map.made.points.every(Number.isFinite)).toBe(true);
  }, 60_000);

  it("has totals and zeros as the held-out cells have them", async () => {
    const data = await collected(study.run);
    if ("missing" in data.generated) throw new Error(data.generated.missing);
    using source = await openCells(study.data);
    const { columns, counts, offsets } = await source.read(
      Int32Array.from({ length: source.cellCount }, (_, row) => row),
    );
    const all = new Set<number>();
    for (let cell = 0; cell < source.cellCount; cell++)
      all.add(counts.subarray(offsets[cell], offsets[cell + 1]).reduce((sum, count) => sum + count, 0));
    expect(columns.length).toBeGreaterThan(0);
    for (const total of data.generated.made.totals.real) expect(all).toContain(total);
  }, 60_000);

  it("reveals each hidden gene once, in a step that there is, and leaves the others as the cell has them", async () => {
    const { filling, generation } = await collected(study.run);
    if ("missing" in filling || "missing" in generation) throw new Error("missing");
    const { revealedAt, steps, values, truth } = filling.made;
    expect(revealedAt.filter((step) => step === 0).length).toBe(12);
    for (const [gene, step] of revealedAt.entries()) {
      expect(step).toBeLessThanOrEqual(steps);
      if (step === 0) expect(values[gene]).toBe(truth?.[gene]);
    }
    expect(Math.min(...generation.made.revealedAt)).toBeGreaterThan(0);
    expect(generation.made.truth).toBeUndefined();
  }, 60_000);

  it("names the command that trains such a run again", async () => {
    const { commands } = await collected(study.run);
    expect(commands[1]).toBe(`ddsc report ${study.run}`);
    // A shape that no preset has.
    expect(commands[0]).toContain("a shape of its own");
  }, 60_000);
});

describe("what cannot be made is left out with the reason", () => {
  const out = () => join(study.folder, "left-out.html");

  it("the curves of a checkpoint's folder", async () => {
    const { leftOut, figures } = await reportFile({
      model: join(study.run, "last"),
      out: out(),
      overwrite: true,
    });
    expect(leftOut).toEqual({ curves: expect.stringContaining("there is no metrics.jsonl in the folder") });
    expect(figures).toContain("likelihood");
    expect(await readFile(out(), "utf8")).toContain("Not in this report: there is no metrics.jsonl");
  }, 60_000);

  it("all that is of cells where the data are gone, with the verdict that nothing is known", async () => {
    await rename(study.data, `${study.data}-away`);
    try {
      const { leftOut, verdict, beaten, figures } = await reportFile({
        model: study.run,
        out: out(),
        overwrite: true,
      });
      expect(figures).toEqual(["learning-curves", "learning-rate"]);
      expect(verdict).toContain("is not known: ");
      expect(beaten).toBeNull();
      expect(leftOut.scores).toMatch(/DATA_NOT_FOUND.*cells\.h5ad/);
    } finally {
      await rename(`${study.data}-away`, study.data);
    }
  }, 60_000);

  it("of a run that held out no cells; other cells can be given", async () => {
    const other = await smallStudy({ cells: 90 });
    const whole = await smallStudy({ validation: false });
    try {
      const file = join(whole.folder, "report.html");
      const without = await reportFile({ model: whole.run, out: file });
      expect(without.leftOut.scores).toContain("EVALUATION_EMPTY");
      expect(await readFile(file, "utf8")).toContain("the run held out no cells");
      const on = await reportFile({
        model: whole.run,
        out: file,
        data: other.data,
        cells: 20,
        overwrite: true,
      });
      expect(on.figures).toContain("likelihood");
    } finally {
      for (const { folder } of [whole, other]) await rm(folder, { recursive: true });
    }
  }, 90_000);

  it("of a model of ranks what only counts have; the published figure is there", async () => {
    const ranks = await smallStudy({ values: "ranks" });
    try {
      const file = join(ranks.folder, "report.html");
      const { figures, leftOut, verdict } = await reportFile({
        model: ranks.run,
        out: file,
        by: "cell_type",
      });
      expect(figures).toEqual(["learning-curves", "learning-rate", "accuracy", "filling", "generation"]);
      expect(Object.keys(leftOut)).toEqual(["genes", "generated"]);
      expect(verdict).toMatch(/^With 50% of the ranks masked the model gets [\d.]+% of them right/);
      expect(await readFile(file, "utf8")).toContain("Scores by cell_type");
    } finally {
      await rm(ranks.folder, { recursive: true });
    }
  }, 60_000);
});

describe("files", () => {
  it("are refused before any work where something is there, and left as they are", async () => {
    const [out, gif, fresh] = ["there.html", "there.gif", "new.html"].map((name) => join(study.folder, name));
    for (const file of [out!, gif!]) await writeFile(file, "mine");
    const refused = async (options: { out: string; gif?: string; png?: string }) =>
      expect(await reportFile({ model: study.run, ...options }).catch((error: unknown) => error));
    (await refused({ out: out! })).toMatchObject({ code: "FILE_EXISTS", place: { argument: "out" } });
    (await refused({ out: fresh!, gif: gif! })).toMatchObject({ code: "FILE_EXISTS" });
    (await refused({ out: fresh!, png: out! })).toMatchObject({ code: "FILE_WRITE" });
    (await refused({ out: join(study.folder, "none", "new.html") })).toMatchObject({ code: "FILE_WRITE" });
    (await refused({ out: join(study.folder, "new.h5ad") })).toMatchObject({ code: "ARGUMENT_RANGE" });
    (await refused({ out: fresh!, gif: join(study.folder, "new.png") })).toMatchObject({
      code: "ARGUMENT_RANGE",
    });
    expect(await readFile(gif!, "utf8")).toBe("mine");
    expect(await readFile(out!, "utf8")).toBe("mine");
  });

  it("are a PNG for each figure, the same as images for TensorBoard, and a GIF of the cells being made, where they are asked for", async () => {
    const out = join(study.folder, "pictured.html");
    const png = join(study.folder, "pictures");
    const gif = join(study.folder, "filling.gif");
    const tensorboard = join(study.folder, "events");
    const written = await reportFile({ model: study.run, out, png, gif, tensorboard, cells: 20 });
    expect((await readdir(png)).sort()).toEqual([...written.figures.map((name) => `${name}.png`)].sort());
    for (const file of written.png) expect((await readFile(file)).subarray(1, 4).toString()).toBe("PNG");
    const events = await readFile(written.tensorboard!);
    for (const [i, name] of written.figures.entries()) {
      expect(events.includes(`report/${name}`)).toBe(true);
      expect(events.includes(await readFile(written.png[i]!))).toBe(true);
    }
    expect((await readFile(gif)).subarray(0, 6).toString()).toBe("GIF89a");
    expect(written.gif).toBe(gif);
  }, 90_000);

  it("are not written where the work is stopped", async () => {
    const out = join(study.folder, "stopped.html");
    const stop = new AbortController();
    const report = reportFile({
      model: study.run,
      out,
      signal: stop.signal,
      onProgress: (share) => {
        if (share > 0.4) stop.abort(new Error("enough"));
      },
    });
    await expect(report).rejects.toThrow("enough");
    expect(await readdir(study.folder)).not.toContain("stopped.html");
  }, 60_000);
});
