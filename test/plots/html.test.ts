import { describe, expect, it } from "vitest";
import { figures, html } from "../../lib/plots/index.js";
import { comparison, countEvaluation, inputs, numbers, rankEvaluation } from "./inputs.js";

describe("html of results", () => {
  it("has the verdict, every method and the figures of an evaluation of counts", () => {
    const page = html(countEvaluation(["<script>alert(1)</script>"]));
    expect(page).toMatch(/^<p><strong>The model beats it\.<\/strong><\/p>/);
    for (const method of ["model", "gene marginal", "truncated SVD", "kNN smoothing"]) {
      expect(page).toContain(`<th scope="row">${method}</th>`);
    }
    expect(page.match(/<svg /g)?.length).toBe(4);
    expect(page).not.toContain("<script");
    expect(page).toContain("&lt;script&gt;");
    expect(page).not.toMatch(/ style=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  });

  it("leaves out the figures of what an evaluation does not have", () => {
    const { calibration: _, groups: __, ...bare } = countEvaluation();
    expect(html(bare).match(/<svg /g)?.length).toBe(1);
  });

  it("has an evaluation of ranks", () => {
    const page = html(rankEvaluation());
    expect(page).toContain("40 held-out cells, 900 tokens");
    expect(page.match(/<svg /g)?.length).toBe(1);
  });

  it("has figures with their data, of which it shows 200 rows", () => {
    const rows = numbers(300).map((model, i) => ({ gene: `g${i}`, model, baseline: 0.5, expressed: i }));
    const page = html(figures.genes(rows));
    expect(page).toMatch(/^<figure><svg [\s\S]*<details><summary>Data: Which genes/);
    expect(page.match(/<tr>/g)?.length).toBe(201);
    expect(page).toContain("100 more rows");
    expect(html([figures.genes(rows), figures.filling(inputs().filling)]).match(/<figure>/g)?.length).toBe(2);
  });

  it("tells what it cannot show", () => {
    const { meanVariance: _, ...scores } = comparison();
    for (const wrong of [undefined, null, 7, "x", {}, [7], { verdict: {} }, scores, { ratios: 7 }]) {
      expect(() => html(wrong as never)).toThrow(/^ARGUMENT_TYPE/);
    }
  });
});
