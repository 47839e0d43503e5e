import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MetricsLog } from "../../lib/training/metrics.js";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-metrics-"));
  file = join(folder, "metrics.jsonl");
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function log(from: number, steps: readonly number[]): Promise<void> {
  await using metrics = await MetricsLog.open(file, from);
  for (const step of steps) await metrics.append({ step, gene: "µ-ähnlich" });
  await metrics.flush();
}
const steps = async () =>
  (await readFile(file, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).step);

describe("metrics", () => {
  it("are one JSON object a line", async () => {
    await log(0, [1, 2, 3]);
    expect(await steps()).toEqual([1, 2, 3]);
  });

  it("go on after the step that is resumed from, without double lines", async () => {
    await log(0, [1, 2, 3, 4]);
    await log(2, [3, 4, 5]);
    expect(await steps()).toEqual([1, 2, 3, 4, 5]);
  });

  it("keep several lines of one step", async () => {
    await log(0, [1, 2, 2]);
    await log(2, [3]);
    expect(await steps()).toEqual([1, 2, 2, 3]);
  });

  it.each(['{"step": 3, "lo', '{"step": 2}', "\0\0\0\0"])(
    "drop a last line cut short to %j",
    async (rest) => {
      await log(0, [1, 2]);
      await appendFile(file, rest);
      await log(2, [3]);
      expect(await steps()).toEqual([1, 2, 3]);
    },
  );

  it("write what is not a number as null", async () => {
    await using metrics = await MetricsLog.open(file, 0);
    await metrics.append({ step: 1, loss: Number.NaN });
    expect(await readFile(file, "utf8")).toBe('{"step":1,"loss":null}\n');
  });

  it("say that they cannot be written", async () => {
    await writeFile(join(folder, "x"), "");
    await expect(MetricsLog.open(join(folder, "x", "metrics.jsonl"), 0)).rejects.toThrow(/FILE_WRITE/);
  });
});
