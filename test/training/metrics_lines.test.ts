import { appendFile, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseMetricsLine, readMetrics } from "../../lib/training/metrics_lines.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-lines-"));
});
afterAll(() => rm(folder, { recursive: true }));

const LINE =
  '{"step":7,"loss":0.5,"gradientNorm":1,"tokens":9,"learningRate":0.1,"seconds":2,"tokensPerSecond":4.5,"epoch":0}';

describe("lines of metrics", () => {
  it("are read as they were written, with null for what is missing or not finite", () => {
    expect(parseMetricsLine(LINE)).toEqual({
      step: 7,
      loss: 0.5,
      gradientNorm: 1,
      learningRate: 0.1,
      seconds: 2,
      tokensPerSecond: 4.5,
      epoch: 0,
      validation: null,
    });
    const validation = parseMetricsLine('{"step":7,"validation":{"nll":0.25,"accuracy":null},"loss":"x"}');
    expect(validation).toMatchObject({ loss: null, validation: { nll: 0.25, accuracy: null } });
  });

  it("are left out where they are none, whatever the text", () => {
    for (const text of ["", "{", "[]", "null", '{"step":-1}', '{"step":1.5}', '{"loss":1}', '"step"'])
      expect(parseMetricsLine(text)).toBeUndefined();
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const line = parseMetricsLine(text);
        expect(line === undefined || Number.isSafeInteger(line.step)).toBe(true);
      }),
    );
  });

  it("are read on from where the last reading ended, whole lines alone", async () => {
    const file = join(folder, "growing.jsonl");
    await writeFile(file, '{"step":1}\n{"step":2}\n{"ste');
    const first = await readMetrics(file);
    expect(first.lines.map(({ step }) => step)).toEqual([1, 2]);
    await appendFile(file, 'p":3}\n{"step":4}\n');
    const second = await readMetrics(file, first.end);
    expect(second.lines.map(({ step }) => step)).toEqual([3, 4]);
    expect(await readMetrics(file, second.end)).toEqual({ lines: [], end: second.end });
    await truncate(file, first.end);
    const again = await readMetrics(file, second.end);
    expect(again).toEqual({ lines: first.lines, end: first.end });
  });

  it("longer than a megabyte are left out, those around them are not", async () => {
    const file = join(folder, "long.jsonl");
    await writeFile(file, `{"step":1}\n{"step":2,"x":"${"y".repeat(3 * 2 ** 20)}"}\n{"step":3}\n`);
    const { lines, end } = await readMetrics(file);
    expect(lines.map(({ step }) => step)).toEqual([1, 3]);
    expect((await readMetrics(file, end)).lines).toEqual([]);
  });
});
