import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PackedStrings } from "../../../lib/data/sources/packed_strings.js";
import {
  FieldBounds,
  fieldTexts,
  findDelimiter,
  firstFieldText,
} from "../../../lib/data/text/delimited_fields.js";
import { numberAt } from "../../../lib/data/text/number_text.js";

function parsed(text: string): number | undefined {
  // Surrounded by what would change the number if it were looked at.
  const bytes = Buffer.from(`9${text}9`);
  return numberAt(bytes, 1, bytes.length - 1);
}

describe("numbers in text", () => {
  it("are what JavaScript reads them as", () => {
    const written = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toString()),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toExponential()),
      fc.integer().map(String),
      fc.bigInt({ min: 0n, max: 10n ** 25n }).map(String),
      fc
        .tuple(fc.constantFrom("", "+", "-"), fc.stringMatching(/^\d{1,20}(\.\d{0,9})?$/))
        .map((parts) => parts.join("")),
    );
    fc.assert(fc.property(written, (text) => Object.is(parsed(text), Number(text))));
  });

  it("may be missing or infinite in any case of letters", () => {
    for (const text of ["nan", "NaN", "-NAN"]) expect(parsed(text)).toBeNaN();
    for (const text of ["inf", "Infinity", "+INF"]) expect(parsed(text)).toBe(Number.POSITIVE_INFINITY);
    expect(parsed("-inf")).toBe(Number.NEGATIVE_INFINITY);
  });

  it("are not read into anything else", () => {
    for (const text of [
      "",
      "-",
      "+",
      ".",
      "e5",
      "1e",
      "1e+",
      "0x10",
      "1,5",
      "1 2",
      "--1",
      "1_0",
      "٣",
      "infinit",
      "true",
    ]) {
      expect(parsed(text), text).toBeUndefined();
    }
  });
});

it("packed strings are given back as they came", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 400 }), (texts) => {
      const packed = new PackedStrings();
      for (const text of texts) packed.push(Buffer.from(text));
      expect(packed.length).toBe(texts.length);
      expect(packed.all()).toEqual(texts);
      expect([packed.at(-1), packed.at(texts.length)]).toEqual(["", ""]);
    }),
  );
});

describe("fields of a line", () => {
  const field = fc.stringMatching(/^[a-c",;\t é]{0,8}$/);

  it("come back whatever is in them, where they were quoted", () => {
    fc.assert(
      fc.property(
        fc.array(field, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(",", "\t", ";"),
        (fields, delimiter) => {
          const line = Buffer.from(fields.map((text) => `"${text.replaceAll('"', '""')}"`).join(delimiter));
          const byte = delimiter.charCodeAt(0);
          expect(fieldTexts(line, byte)).toEqual(fields);
          expect(firstFieldText(line, byte, new FieldBounds())).toBe(fields[0]);
        },
      ),
    );
  });

  it("are cut at every delimiter, without the blanks around them", () => {
    expect(fieldTexts(Buffer.from(" a, b ,,c"), 44)).toEqual(["a", "b", "", "c"]);
    expect(fieldTexts(Buffer.from(","), 44)).toEqual(["", ""]);
    expect(fieldTexts(Buffer.from(""), 44)).toEqual([""]);
  });
});

it("the delimiter is the most frequent one of the first line, outside quotes", () => {
  expect(findDelimiter(Buffer.from("a\tb\tc,d\n1,2,3,4,5"))).toBe(9);
  expect(findDelimiter(Buffer.from('"a,b,c";d\n'))).toBe(59);
  expect(findDelimiter(Buffer.from("a|b"))).toBe(124);
  expect(findDelimiter(Buffer.from("one column\n1,2"))).toBeUndefined();
});
