import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TRAINING_FILE } from "../../lib/model/model_files.js";
import { readRecord } from "../../lib/training/state.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallModel, smallOptions, smallSource } from "./small_run.js";

let folder: string;
let text: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-record-"));
  using model = await smallModel();
  const trainer = new Trainer(model, { ...smallOptions, folder: join(folder, "run") });
  for await (const _step of trainer.fit(smallSource(), { steps: 1 }));
  text = await readFile(join(folder, "run", "last", TRAINING_FILE), "utf8");
});
afterAll(() => rm(folder, { recursive: true }));

async function read(change: (json: Record<string, Record<string, unknown>>) => void): Promise<unknown> {
  const json = JSON.parse(text);
  change(json);
  await writeFile(join(folder, TRAINING_FILE), JSON.stringify(json));
  return readRecord(folder);
}

it("a record is read as it was written", async () => {
  expect(await read(() => undefined)).toMatchObject({
    settings: { seed: 11, limit: { kind: "cells", cells: 6 } },
    steps: 1,
  });
});

it("a record of counts that does not say how often most is hidden is of a training that hid each share as often", async () => {
  const queries = {
    zeros: 8,
    expressed: 8,
    thinning: 0,
    totalGiven: 0.5,
    stateRate: 1,
    conditionDrop: 0,
  };
  const record = await read((json) => {
    json.settings!.queries = queries;
  });
  expect(record).toMatchObject({ settings: { queries: { ...queries, mostlyHidden: 1 } } });
});

it.each([
  ["a condition that is no text", (json) => (json.data!.where = 3)],
  ["held-out cells of no kind", (json) => (json.data!.heldOut = { kind: "all" })],
  ["a source of no kind", (json) => (json.data!.source = { kind: "memory" })],
  ["a setting that is missing", (json) => delete json.settings!.worker],
  ["a setting out of range", (json) => (json.settings!.beta2 = 2)],
  ["no limit on batches", (json) => delete json.settings!.limit],
  ["a schedule without warm-up", (json) => delete json.schedule!.warmup],
  ["a step that is none", (json) => (json.state!.step = -1)],
  ["a best step that is none", (json) => (json.state!.best = { nll: 1 })],
] satisfies [string, (json: Record<string, Record<string, unknown>>) => void][])(
  "a record with %s is refused by name of its file",
  async (_, change) => {
    await expect(read(change)).rejects.toThrow(/^CHECKPOINT_CONFIG: .*training\.json: /);
  },
);
