import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PackedStrings } from "../../../lib/data/sources/packed_strings.js";
import { type DelimitedRecord, forEachRecord } from "../../../lib/data/text/delimited_records.js";
import { findDelimiter } from "../../../lib/data/text/delimiter.js";
import { parseNumber } from "../../../lib/data/text/numbers.js";

/** The records of a text that comes in pieces of some bytes. */
async function recordsOf(text: string, delimiter: string, pieceBytes = 1 << 16) {
  const bytes = Buffer.from(text);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes)
      yield Buffer.from(bytes.subarray(at, at + pieceBytes));
  }
  const records: DelimitedRecord[] = [];
  await forEachRecord("t", delimiter, (record) => records.push(record) > 0, { pieces: pieces() });
  return records;
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
    fc.assert(fc.property(written, (text) => Object.is(parseNumber(text), Number(text))));
  });

  it("may be missing or infinite in any case of letters", () => {
    for (const text of ["nan", "NaN", "-NAN"]) expect(parseNumber(text)).toBeNaN();
    for (const text of ["inf", "Infinity", "+INF"]) expect(parseNumber(text)).toBe(Number.POSITIVE_INFINITY);
    expect(parseNumber("-inf")).toBe(Number.NEGATIVE_INFINITY);
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
      expect(parseNumber(text), text).toBeUndefined();
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
  const field = fc.stringMatching(/^[a-c",;\t é\n]{0,8}$/);

  it("come back whatever is in them, where they were quoted, however the text is cut into pieces", async () => {
    const records = fc.array(fc.array(field, { minLength: 2, maxLength: 6 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        records,
        fc.constantFrom(",", "\t", ";"),
        fc.constantFrom("\n", "\r\n", " \r\n"),
        fc.integer({ min: 1, max: 7 }),
        async (written, delimiter, lineEnd, pieceBytes) => {
          const text = written
            .map((fields) => fields.map((value) => `"${value.replaceAll('"', '""')}"`).join(delimiter))
            .join(lineEnd);
          let line = 1;
          const wanted = written.map((fields) => {
            const record = { fields, line };
            line += 1 + fields.join("").split("\n").length - 1;
            return record;
          });
          expect(await recordsOf(text, delimiter, pieceBytes)).toEqual(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("are cut at every delimiter, without the blanks around them", async () => {
    const fieldsOf = async (text: string) => (await recordsOf(text, ",")).map(({ fields }) => fields);
    expect(await fieldsOf(" a, b ,,c")).toEqual([["a", "b", "", "c"]]);
    expect(await fieldsOf(' a," b " , "c""" ,d\n\n e,f')).toEqual([
      ["a", " b ", 'c"', "d"],
      ["e", "f"],
    ]);
    expect(await fieldsOf(",")).toEqual([["", ""]]);
    expect(await fieldsOf("")).toEqual([]);
  });

  it("are cut at the lines of a text however it is cut into pieces", async () => {
    const plain = fc.array(fc.stringMatching(/^[a-c\u00e9 ]{0,6}$/), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(plain, fc.integer({ min: 1, max: 7 }), async (lines, pieceBytes) => {
        const text = `\ufeff${lines.map((line) => `${line}\r\n`).join("")}`;
        const wanted = lines.flatMap((line, i) =>
          line === "" ? [] : [{ fields: [line.trim()], line: i + 1 }],
        );
        const found = await recordsOf(text, ",", pieceBytes);
        expect(found.filter(({ fields }) => fields[0] !== "")).toEqual(
          wanted.filter(({ fields }) => fields[0] !== ""),
        );
      }),
    );
  });

  it("of a quote that is not closed, or not doubled, are refused with the line", async () => {
    await expect(recordsOf('a,b\n"c,d\ne,f\n', ",")).rejects.toThrow(/line 2: a double quote is opened/);
    await expect(recordsOf('a,b\nc,d\n"e"f",g\nh,i\n', ",")).rejects.toThrow(/line 3: there is a " within/);
    await expect(recordsOf(`a,b\n"c${'" x'.repeat(1000)}`, ",", 100)).rejects.toThrow(/line 2: there is a "/);
  });

  it("of a line without end are refused, and of a quote without end, in time", async () => {
    for (const [start, filler, message] of [
      ["a,b\n1,2", "0,", /line 2: the line never ends/],
      ['a,b\n1,"2', "0\n", /line 2: a double quote is opened/],
    ] as const) {
      async function* pieces() {
        yield Buffer.from(start);
        const piece = Buffer.alloc(1 << 18, filler);
        for (;;) yield piece;
      }
      const read = async () => {
        await forEachRecord("t", ",", () => true, { pieces: pieces() });
      };
      await expect(read()).rejects.toThrow(message);
    }
  });
});

it("the delimiter is the most frequent one of the first line, outside quotes", () => {
  expect(findDelimiter("a\tb\tc,d\n1,2,3,4,5")).toBe("\t");
  expect(findDelimiter('"a,b,c";d\n')).toBe(";");
  expect(findDelimiter("a|b")).toBe("|");
  expect(findDelimiter("one column\n1,2")).toBeUndefined();
});
