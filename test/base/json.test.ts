import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eachOutermostName, parseJson, parseJsonInTurns } from "../../lib/base/json.js";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("JSON that others wrote", () => {
  it("is decoded as JSON.parse does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 5 }), async (text) => {
        expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
        expect(await parseJsonInTurns(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it("gives the names of the outermost object in their order, also those given again", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.jsonValue())), (entries) => {
        const fields = entries.map(([name, value]) => `${JSON.stringify(name)} :\n${JSON.stringify(value)}`);
        const names: string[] = [];
        eachOutermostName(bytes(` {${fields.join(", ")}}`), (name) => names.push(name));
        expect(names).toEqual(entries.map(([name]) => name));
      }),
    );
  });

  it("is refused where it is nested more than 64 levels deep, and brackets in text do not count", async () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    expect(parseJson(bytes(nested(64)))).toBeInstanceOf(Array);
    expect(() => parseJson(bytes(nested(65)))).toThrow(/more than 64 levels/);
    await expect(parseJsonInTurns(bytes(nested(65)))).rejects.toThrow(/more than 64 levels/);
    expect(() => parseJson(bytes("[".repeat(1 << 22)))).toThrow(/more than 64 levels/);
    expect(() => parseJson(bytes('{"a":'.repeat(1 << 20)))).toThrow(/more than 64 levels/);
    const text = `\\"${"[".repeat(100)}\\\\`;
    expect(parseJson(bytes(`["${text}"]`))).toEqual([JSON.parse(`"${text}"`)]);
  });

  it.each(["", "{", '"', '"\\', "[1,]", "\xff"])("is an error otherwise (%j)", async (text) => {
    expect(() => parseJson(Buffer.from(text, "latin1"))).toThrow();
    await expect(parseJsonInTurns(Buffer.from(text, "latin1"))).rejects.toThrow();
  });
});
