import { Resvg } from "@resvg/resvg-js";
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import * as plots from "../../lib/plots/index.js";
import { type Figure, type Figures, figures, type PlotOptions } from "../../lib/plots/index.js";
import { PALETTE } from "../../lib/plots/palette.js";
import { metricsLine } from "../training/metrics_line.js";
import { comparison, countEvaluation, FIGURES, inputs, numbers, rankEvaluation } from "./inputs.js";

/** What the subpath exports, by name. */
const TEXTS: Readonly<Record<string, unknown>> = plots;

type Draw = (input: unknown, options?: PlotOptions) => Figure;

/** Draws a figure whose input a table of tests holds. */
function draw(name: keyof Figures, input: unknown, options?: PlotOptions): Figure {
  return (figures[name] as Draw)(input, options);
}

/** The figure's elements; throws where it is no well-formed XML. */
function parsed(svg: string) {
  // A strict parser: it throws for what is not well-formed.
  new Resvg(svg, { font: { loadSystemFonts: false } });
  const { document } = parseHTML(svg);
  return document as unknown as {
    querySelector(selector: string): Found | null;
    querySelectorAll(selector: string): Iterable<Found>;
  };
}

interface Found {
  readonly textContent: string;
  readonly localName: string;
  getAttribute(name: string): string | null;
}

/** All texts that a figure shows. */
function texts(svg: string): string {
  return Array.from(parsed(svg).querySelectorAll("text"), ({ textContent }) => textContent).join("\n");
}

const all = inputs();

describe.each(FIGURES)("the figure %s", (name) => {
  it.each([280, 360, 700])("is an image with a title, a description and a table, %d pixels wide", (width) => {
    const { title, description, svg, table } = draw(name, all[name], { width });
    const document = parsed(svg);
    const root = document.querySelector("svg");
    expect(root?.getAttribute("width")).toBe(String(width));
    expect(root?.getAttribute("role")).toBe("img");
    const named = document.querySelector(`#${root?.getAttribute("aria-labelledby")}`);
    expect([named?.localName, named?.textContent]).toEqual(["title", title]);
    const described = document.querySelector(`#${root?.getAttribute("aria-describedby")}`);
    expect([described?.localName, described?.textContent]).toEqual(["desc", description]);
    expect(title).toMatch(/^[A-Z].*\?$/);
    expect(description.length).toBeGreaterThan(30);
    expect(table.rows.length).toBeGreaterThan(0);
    for (const row of table.rows) expect(row.length).toBe(table.columns.length);
  });

  it("holds no script, no style sheet, no inline style, no class and no address", () => {
    const { svg } = draw(name, all[name]);
    expect(svg).not.toMatch(/<script|<style|<foreignObject| style=| class=| on\w+=|javascript:/i);
    expect(svg.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(/https?:/);
    for (const [, address] of svg.matchAll(/href="([^"]*)"/g))
      expect(address).toMatch(/^data:image\/png;base64,/);
    for (const [, id] of svg.matchAll(/url\(#([^)]*)\)/g)) expect(svg).toContain(` id="${id}"`);
  });

  it("has colours of the palette alone, which themes can change", () => {
    const { svg } = draw(name, all[name]);
    const light = new Set<string>(Object.values(PALETTE).map((colour) => colour.light));
    const used = [...svg.matchAll(/(?:fill|stroke)="([^"]*)"/g)].map(([, colour]) => colour!);
    expect(used.filter((colour) => colour !== "none" && !light.has(colour))).toEqual([]);
    const dark = plots.themed(svg, "dark");
    for (const colour of light) expect(dark).not.toContain(`"${colour}"`);
    expect(plots.themed(svg, "css")).toContain('fill="var(--ddsc-ink, #1b1b1b)"');
  });

  it("is the same for the same input, and the text of the function of its name", () => {
    const { svg } = draw(name, all[name]);
    expect(draw(name, inputs()[name]).svg).toBe(svg);
    expect((TEXTS[name] as (input: unknown) => string)(all[name])).toBe(svg);
    expect(`${draw(name, all[name])}`).toBe(svg);
  });

  it("leaves its heading out where the page has it", () => {
    const { svg, title } = draw(name, all[name], { heading: false });
    expect(texts(svg)).not.toContain(title.slice(0, 20));
    expect(parsed(svg).querySelector("title")?.textContent).toBe(title);
  });

  it("tells wrong arguments by name", () => {
    for (const wrong of [undefined, null, 7, "cells", true, {}, [null], [{}], () => 7]) {
      expect(() => draw(name, wrong)).toThrow(DdscError);
      expect(() => draw(name, wrong)).toThrow(/^(ARGUMENT_|PLOT_EMPTY)/);
    }
    // One part after the other is missing or something else.
    const input = all[name] as object;
    for (const key of Object.keys(input)) {
      for (const wrong of [null, 7, {}, [null]]) {
        const copy: unknown = Array.isArray(input)
          ? input.with(Number(key), wrong)
          : { ...input, [key]: wrong };
        try {
          parsed(draw(name, copy).svg);
        } catch (error) {
          expect(String(error)).toMatch(/^DdscError: (ARGUMENT_|PLOT_EMPTY)/);
        }
      }
    }
    for (const width of [0, 279, 2001, Number.NaN, "640" as never]) {
      expect(() => draw(name, all[name], { width })).toThrow(/^ARGUMENT_RANGE.*width/);
    }
    expect(() => draw(name, all[name], 7 as never)).toThrow(/^ARGUMENT_TYPE/);
  });
});

it("figures of one page have ids that differ", () => {
  const ids = FIGURES.flatMap((name) =>
    [...draw(name, all[name]).svg.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

const HOSTILE = [
  "<script>alert(1)</script>",
  `"quoted" & 'quoted' ]]> <!-- -->`,
  "\u0000\u001b[31m\u202e\ud800",
  'x="#0072b2"',
  "x".repeat(1_000_000),
  "W".repeat(300),
  "名前".repeat(100),
  "",
  " ",
  "__proto__",
  "constructor",
];

describe("names out of files", () => {
  const evaluation = countEvaluation(HOSTILE);
  const named = inputs(HOSTILE);
  const [lines] = [named.learningCurves[0]!.lines];
  const cells = HOSTILE.length;
  const drawn: Partial<Record<keyof Figures, unknown>> = {
    learningCurves: HOSTILE.map((name) => ({ name, lines })),
    learningRate: HOSTILE.map((name) => ({ name, lines })),
    groups: evaluation,
    genes: named.genes,
    zeroFractions: named.zeroFractions,
    geneCorrelations: named.geneCorrelations,
    cellMap: {
      points: Float64Array.from(numbers(2 * cells)),
      isGenerated: Uint8Array.from({ length: cells }, (_, i) => i % 2),
      labels: HOSTILE,
      method: HOSTILE[4],
    },
    filling: { ...named.filling, title: HOSTILE[0] },
    likelihood: { ...evaluation, verdict: { ...evaluation.verdict, sentence: HOSTILE[0] } },
  };

  it.each(Object.keys(drawn) as (keyof Figures)[])("do nothing to the figure %s", (name) => {
    for (const width of [280, 700]) {
      const { svg, table, description } = draw(name, drawn[name], { width });
      parsed(svg);
      expect(svg).not.toMatch(/<script|<!--/);
      expect(svg.length).toBeLessThan(200_000);
      expect(description.length).toBeLessThan(20_000);
      expect(JSON.stringify(table).length).toBeLessThan(200_000);
      // Colours are changed, names that look like them are not.
      expect(texts(plots.themed(svg, "dark"))).toBe(texts(svg));
    }
  });

  it("are shown as far as there is room, and whole in the table", () => {
    const name = `CD4+ ${"very ".repeat(10)}naive T cells`;
    const { svg, table } = figures.groups(countEvaluation([name]), { width: 360 });
    expect(texts(svg)).toContain("CD4+ very");
    expect(texts(svg)).toContain("…");
    expect(table.rows[0]?.[0]).toBe(name);
  });
});

describe("the data of figures", () => {
  it("has each method at each share of hidden genes, and how many nats more than the model's", () => {
    const { table, description } = figures.likelihood(countEvaluation());
    expect(table.rows.length).toBe(3 * 5);
    expect(table.rows.slice(0, 3)).toEqual([
      ["20%", "model", 0.2, 0.19, expect.closeTo(0.212), null, null, null],
      [
        "20%",
        "model without conditions",
        0.205,
        expect.closeTo(0.195),
        expect.closeTo(0.217),
        null,
        null,
        null,
      ],
      [
        "20%",
        "truncated SVD",
        0.21,
        expect.closeTo(0.2),
        expect.closeTo(0.222),
        expect.closeTo(0.01),
        expect.closeTo(-0.002),
        expect.closeTo(0.02),
      ],
    ]);
    expect(description).toMatch(/^The model beats it\. Nats with 20% hidden: model 0\.2000/);
  });

  it("has the accuracies of all predictors", () => {
    const { table } = figures.accuracy(rankEvaluation());
    expect(table.rows.length).toBe(3 * 4);
    expect(table.rows[1]).toEqual(["20%", "most frequent rank", 0.6, 0.2]);
  });

  it("has the bins and strata of calibration", () => {
    expect(figures.calibration(countEvaluation()).table.rows[1]).toEqual([
      0.4, 0.5, 50, 0.45, 0.43, 0.4, 0.47,
    ]);
    expect(figures.calibration(countEvaluation()).description).toContain(
      "furthest apart at a predicted 45.0%, where 43.0%",
    );
    expect(figures.coverage(countEvaluation()).table.rows).toEqual([
      ["0 to 0.1", 200, 0.9, 0.88, 0.91],
      ["0.1 and more", 100, 0.93, 0.91, 0.95],
      ["all", 300, 0.9, 0.88, 0.91],
    ]);
  });

  it("has each group with the baseline that is best there, also those that are not drawn", () => {
    const names = Array.from({ length: 75 }, (_, i) => `type ${i}`);
    const { table, svg } = figures.groups(countEvaluation(names));
    expect(table.rows.map(([name]) => name)).toEqual(names);
    expect(table.rows[0]).toEqual([
      "type 0",
      20,
      expect.closeTo(0.21),
      expect.closeTo(0.2),
      expect.closeTo(0.222),
      "truncated SVD",
      0.22,
      0.21,
      expect.closeTo(0.232),
    ]);
    expect(texts(svg)).toContain("type 59 (");
    expect(texts(svg)).not.toContain("type 60 (");
    expect(texts(svg)).toContain("15 more groups");
  });

  it("has all genes, the best predicted first", () => {
    const rows = numbers(100).map((value, i) => ({
      gene: `g${i}`,
      model: value,
      baseline: 0.5,
      expressed: i,
    }));
    const { table, svg } = figures.genes(rows);
    expect(table.rows.length).toBe(100);
    const more = table.rows.map((row) => row[3] as number);
    expect(more).toEqual(more.toSorted((a, b) => a - b));
    for (const row of [...table.rows.slice(0, 15), ...table.rows.slice(-15)])
      expect(texts(svg)).toContain(`${row[0]} (`);
  });

  it("has the shares of cells by total, which sum to those that have counts", () => {
    const { table, description } = figures.totals(inputs().totals);
    const sum = (column: number) => table.rows.reduce((total, row) => total + (row[column] as number), 0);
    expect([sum(2), sum(3)]).toEqual([expect.closeTo(3 / 4), expect.closeTo(1)]);
    expect(description).toContain("1 real cell without a count is not drawn.");
    expect(description).toContain("median total 150");
  });

  it("has real correlations above the diagonal and generated ones below", () => {
    const genes = ["a", "b", "c"];
    const real = Float64Array.of(1, 0.5, Number.NaN, 0.5, 1, -0.25, Number.NaN, -0.25, 1);
    const generated = Float64Array.of(1, 0.1, 0.2, 0.1, 1, 0.3, 0.2, 0.3, 1);
    const { table, description } = figures.geneCorrelations({ genes, real, generated });
    expect(table.columns).toEqual(["gene", "a", "b", "c"]);
    expect(table.rows).toEqual([
      ["a", 1, 0.5, null],
      ["b", 0.1, 1, -0.25],
      ["c", 0.2, 0.3, 1],
    ]);
    expect(description).toContain("Furthest apart are b and c: -0.25 among real and 0.30 among generated");
  });

  it("has genes of a cell up to the step that is drawn", () => {
    const { filling } = inputs();
    const before = figures.filling(filling, { step: 1 });
    expect(before.table.rows).toEqual([
      ["Actb", 0, 0, 0],
      ["Gapdh", 1, 3, 2],
      ["Xist", null, null, 4],
      ["Malat1", null, null, 6],
    ]);
    expect(before.description).toContain("of 4 genes 1 were known, 1 are filled in and 2 still hidden");
    const after = figures.filling(filling);
    expect(after.table.rows[3]).toEqual(["Malat1", 3, 9, 6]);
    const size = ({ svg }: Figure) => /viewBox="[^"]*"/.exec(svg)?.[0];
    expect(size(after)).toBe(size(before));
    expect(() => figures.filling(filling, { step: 4 })).toThrow(/^ARGUMENT_RANGE.*step/);
  });

  it("has all cells of a map, with their labels", () => {
    const { table, description } = figures.cellMap(inputs().cellMap);
    expect(table.rows.length).toBe(8);
    expect(table.rows[1]?.slice(0, 3)).toEqual([2, "generated", "T"]);
    expect(description).toContain("T: 75.0% of the real, 50.0% of the generated");
  });

  it("has the AUCs and says whether generated cells are told apart more surely than real ones", () => {
    expect(figures.classifier(comparison()).table.rows.map((row) => row.slice(0, 2))).toEqual([
      ["other real cells", 0.52],
      ["generated cells", 0.7],
      ["negative binomial of the type", 0.8],
      ["real, genes shuffled", 0.9],
    ]);
    expect(figures.classifier(comparison()).description).toMatch(/^Yes, /);
    const alike = {
      ...comparison(),
      auc: { value: 0.53, low: 0.5, high: 0.56, logistic: 0.5, forest: 0.53 },
    };
    expect(figures.classifier(alike).description).toMatch(/^Not more surely/);
  });
});

describe("learning curves", () => {
  const line = metricsLine;

  it("forget the steps that a resumed run did again", () => {
    const lines = [
      line(1, 5),
      line(2, 4),
      line(3, 9),
      line(3, null, 8),
      line(2, 3),
      line(3, 2),
      line(3, null, 1),
    ];
    const { table } = figures.learningCurves([{ name: "run", lines }]);
    expect(table.rows.map((row) => [row[1], row[3]])).toEqual([
      [1, null],
      [2, null],
      [3, 1],
    ]);
    expect(table.rows.at(-1)?.[2]).toBe(2);
  });

  it("leave out losses that are no numbers", () => {
    const { table } = figures.learningCurves([
      { name: "run", lines: [line(1, 5), line(2, null), line(3, 3)] },
    ]);
    expect(table.rows.map((row) => row[1])).toEqual([1, 3]);
  });

  it("stay small for runs of many steps", () => {
    const lines = numbers(200_000).map((loss, i) => line(i + 1, loss));
    const { svg, table } = figures.learningCurves([{ name: "run", lines }]);
    expect(svg.length).toBeLessThan(60_000);
    expect(table.rows.length).toBe(300);
  });
});

describe("figures of little", () => {
  it("are drawn of one cell, one gene and one group", () => {
    const one = Float64Array.of(0.5);
    const drawn = [
      figures.totals({ real: Float64Array.of(10), generated: Float64Array.of(10) }),
      figures.zeroFractions({ real: one, generated: one }),
      figures.meanVariance({
        real: { means: one, variances: one },
        generated: { means: one, variances: one },
      }),
      figures.cellMap({ points: Float64Array.of(1, 2), isGenerated: Uint8Array.of(1), method: "PCA" }),
      figures.genes([{ gene: "a", model: 1, baseline: 1, expressed: 0 }]),
      figures.groups(countEvaluation(["only"])),
      figures.filling({
        genes: ["a"],
        steps: 0,
        revealedAt: Int32Array.of(0),
        values: Int32Array.of(0),
        kind: "ranks",
      }),
    ];
    for (const { svg } of drawn) {
      parsed(svg);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  it.each(FIGURES)("hold no number that is none, where numbers are missing: %s", (name) => {
    // As JSON has numbers that are not finite, and arrays with such numbers in them.
    let place = 0;
    const holed = (value: unknown): unknown => {
      if (value instanceof Float64Array) return value.map((number, i) => (i % 3 === 1 ? Number.NaN : number));
      if (typeof value === "number") return place++ % 7 === 3 ? null : value;
      if (Array.isArray(value)) return value.map(holed);
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, each]) => [
          key,
          key === "steps" || key === "cells" || key === "step" ? each : holed(each),
        ]),
      );
    };
    try {
      const { svg, description, table } = draw(name, holed(all[name]));
      parsed(svg);
      expect(svg).not.toMatch(/NaN|undefined|Infinity|null/);
      expect(description).not.toMatch(/NaN|undefined|Infinity|null/);
      expect(
        table.rows.flat().filter((value) => typeof value === "number" && !Number.isFinite(value)),
      ).toEqual([]);
    } catch (error) {
      expect(String(error)).toMatch(/^DdscError: PLOT_EMPTY/);
    }
  });

  it("say that there is nothing to draw, and what would give something", () => {
    const { calibration: _, groups: __, ...bare } = countEvaluation();
    const none = new Float64Array();
    const empty: [keyof Figures, unknown][] = [
      ["learningCurves", []],
      ["learningRate", [{ name: "run", lines: [] }]],
      ["likelihood", { ...bare, likelihood: {} }],
      ["accuracy", { ...rankEvaluation(), ratios: {} }],
      ["calibration", bare],
      ["coverage", bare],
      ["groups", bare],
      ["groups", { ...bare, groups: {} }],
      ["genes", []],
      ["totals", { real: none, generated: none }],
      ["zeroFractions", { real: none, generated: none }],
      [
        "meanVariance",
        { real: { means: none, variances: none }, generated: { means: none, variances: none } },
      ],
      ["geneCorrelations", { genes: [], real: none, generated: none }],
      ["geneCorrelations", { genes: ["a"], real: Float64Array.of(1), generated: Float64Array.of(1) }],
      ["cellMap", { points: none, isGenerated: new Uint8Array(), method: "UMAP" }],
      [
        "filling",
        { genes: [], steps: 0, revealedAt: new Int32Array(), values: new Int32Array(), kind: "counts" },
      ],
    ];
    for (const [name, input] of empty)
      expect(() => draw(name, input)).toThrow(/^PLOT_EMPTY: there is nothing to draw: .*; /);
  });

  it("tell arrays whose lengths do not fit", () => {
    const { zeroFractions, geneCorrelations, cellMap, filling, meanVariance } = inputs();
    const short = new Float64Array(2);
    const wrong: [keyof Figures, unknown][] = [
      ["zeroFractions", { ...zeroFractions, generated: short }],
      ["geneCorrelations", { ...geneCorrelations, real: short }],
      ["cellMap", { ...cellMap, points: short }],
      ["cellMap", { ...cellMap, labels: ["T"] }],
      ["filling", { ...filling, values: Int32Array.of(1) }],
      ["meanVariance", { ...meanVariance, generated: { means: short, variances: short } }],
    ];
    for (const [name, input] of wrong) expect(() => draw(name, input)).toThrow(/^ARGUMENT_LENGTH/);
  });
});

it("a gene that is plain in words, such as <b>, is plain in the picture", () => {
  expect(texts(figures.genes([{ gene: "<b>", model: 1, baseline: 2, expressed: 3 }]).svg)).toContain(
    "<b> (3)",
  );
});
