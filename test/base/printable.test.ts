import fc from "fast-check";
import { expect, it } from "vitest";
import { printable, printableJson } from "../../lib/base/printable.js";

/** What a terminal, or a reader's eye, would be led astray by: each named by its code. */
const HARMFUL = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i),
  ...[0x061c, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029, 0xfeff, 0xe0001, 0xe0041],
  ...Array.from({ length: 5 }, (_, i) => 0x202a + i),
  ...Array.from({ length: 10 }, (_, i) => 0x2066 + i),
  ...[0xd800, 0xdbff, 0xdc00, 0xdfff],
];

it.each(HARMFUL.map((code) => [code.toString(16), String.fromCodePoint(code)]))(
  "U+%s is written as an escape, as text and as JSON",
  (_code, character) => {
    const text = `a${character}b`;
    expect(printable(text)).toMatch(/^a(\\n|(\\u[0-9a-f]{4}){1,2})b$/);
    const json = printableJson({ [text]: text });
    expect(json).toMatch(/^[ -~]+$/);
    expect(JSON.parse(json)).toEqual({ [text]: text });
  },
);

it("names of any language stay as they are", () => {
  for (const name of ["CD4+ T cell", "naïve β", "基因", "ژن\u200cها", "👩\u200d🔬", "שלום", "a\\b"])
    expect(printable(name)).toBe(name);
});

it("text made printable stays so, and JSON reads back as what it was of", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(printable(text))).toBe(printable(text));
      expect(JSON.parse(printableJson([text]))).toEqual([text]);
    }),
  );
});
