import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escaped } from "../../lib/plots/markup.js";
import { thinCurves } from "../../lib/report/collect/curves.js";
import { clip, NAME_CHARACTERS, ShownNames } from "../../lib/report/collect/texts.js";
import { scriptJson } from "../../lib/report/page/markup.js";
import { metricsLine } from "../training/metrics_line.js";

const anyText = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.constantFrom("", "a".repeat(500)));

describe("names out of files", () => {
  it("are cut to what fits, and shorter ones are left as they are", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 4, max: 60 }), (text, most) => {
        const shown = clip(text, most);
        expect(shown.length).toBeLessThanOrEqual(most);
        expect(Buffer.from(shown).toString()).toBe(shown);
        if (/^[a-z ]*$/.test(text) && text.length <= most) expect(shown).toBe(text);
      }),
    );
  });

  it("stay different where they are different, and the same where they are the same", () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 20 }), (texts) => {
        const names = new ShownNames();
        const shown = texts.map((text) => names.of(text));
        expect(texts.map((text) => names.of(text))).toEqual(shown);
        expect(new Set(shown).size).toBe(new Set(texts).size);
        for (const name of shown) expect(name.length).toBeLessThan(NAME_CHARACTERS + 8);
      }),
    );
  });

  it("end neither an element, an attribute nor a script", () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.constantFrom("</script>", '"><img', "<!--", "]]>")), (text) => {
        expect(escaped(text)).not.toMatch(/[<>"']/);
        const json = scriptJson({ text });
        expect(json).not.toMatch(/[<\u2028\u2029]/);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});

describe("curves", () => {
  const line = metricsLine;

  it("keep some hundred lines, the first, the last and those with a validation", () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => line(i + 1, i, i % 500 === 499 ? 1 : undefined));
    const thinned = thinCurves({ made: lines });
    if ("missing" in thinned) throw new Error(thinned.missing);
    const { made } = thinned;
    expect(made.length).toBeLessThanOrEqual(620);
    expect([made[0]!.step, made.at(-1)!.step]).toEqual([1, 10_000]);
    expect(made.filter(({ validation }) => validation !== null)).toHaveLength(20);
  });

  it("leave out steps that a resumed run undid, not a validation after its step", () => {
    const lines = [line(1, 1), line(2, 2), line(2, null, 5), line(3, 3), line(2, 2.5), line(3, 3.5)];
    expect(thinCurves({ made: lines })).toEqual({ made: [line(1, 1), line(2, 2.5), line(3, 3.5)] });
    expect(thinCurves({ made: lines.slice(0, 4) })).toEqual({ made: lines.slice(0, 4) });
  });
});
