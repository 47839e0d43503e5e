import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventLog } from "../../lib/tensorboard/index.js";
import type { StepResult } from "../../lib/training/fit.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-events-"));
});
afterEach(() => rm(folder, { recursive: true }));

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

const result = (step: number, more: Partial<StepResult> = {}): StepResult => ({
  ...{ step, loss: 1 / step, crossEntropy: 1, accuracy: Number.NaN, gradientNorm: 0.5, tokens: 9 },
  ...{ learningRate: 1e-3, seconds: 1, tokensPerSecond: 1000, epoch: 0 },
  ...more,
});

/** CRC-32C bit by bit, as polynomial division has it: another way than the one under test. */
function remainder(bytes: Uint8Array): number {
  let crc = 0xffff_ffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  }
  const all = crc ^ 0xffff_ffffn;
  return Number((((all >> 15n) | (all << 17n)) + 0xa282ead8n) & 0xffff_ffffn);
}

/** The records of a file, each checksum compared. */
function recordsOf(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(remainder(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(remainder(data));
    records.push(data);
    at += 16 + length;
  }
  return records;
}

/** Writes a training of four steps that is gone on with after its second. */
async function writeLogs(): Promise<void> {
  const settings = { learningRate: 1e-3, device: "cpu", recompute: false };
  await using log = await EventLog.open(folder, { hyperparameters: settings });
  for (let step = 1; step <= 4; step++) log.addStep(result(step));
  await log.close(false);
  await using again = await EventLog.open(folder, { hyperparameters: settings, firstStep: 3 });
  const validation = {
    nll: 0.25,
    bitsPerToken: 1,
    perplexity: 1,
    crossEntropy: 0.5,
    accuracy: Number.NaN,
    cells: 1,
    tokens: 1,
  };
  again.addStep(result(3, { loss: 30 }));
  again.addStep(result(4, { validation }));
  again.addImage(4, "figures/a", PNG);
}

describe("event files", () => {
  it("are records with the checksums of their format, each file its own", async () => {
    await writeLogs();
    const names = (await readdir(folder)).sort();
    expect(names).toEqual([expect.stringMatching(/^events\.out\.tfevents\.\d{10}\./), expect.anything()]);
    const [first = [], second = []] = await Promise.all(
      names.map(async (name) => recordsOf(await readFile(join(folder, name)))),
    );
    expect([first.length, second.length]).toEqual([9, 8]);
    expect(first[0]?.subarray(9).toString()).toBe("\x1a\x0dbrain.Event:2");
    expect(second.at(-2)?.includes(PNG)).toBe(true);
  });

  it("take pictures as PNG and nothing else, and leave out what is not finite", async () => {
    await using log = await EventLog.open(folder);
    expect(() => log.addImage(1, "a", Buffer.from("GIF89a"))).toThrow(/ARGUMENT_TYPE.*png/);
    log.addScalars(1, { a: Number.NaN, b: Number.POSITIVE_INFINITY });
    await log.close();
    expect(recordsOf(await readFile(log.file))).toHaveLength(2);
  });

  it("are refused where they cannot be written", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(EventLog.open(join(folder, "file", "logs"))).rejects.toThrow(/FILE_WRITE/);
  });

  const python = process.env.DDSC_TENSORBOARD_PYTHON ?? "python3";
  const hasReader = spawnSync(python, ["-c", "import tensorboard"]).status === 0;
  it.skipIf(!hasReader)(
    "are read by TensorBoard's own reader, without the steps that were undone",
    async () => {
      await writeLogs();
      const program = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
a = EventAccumulator(sys.argv[1], purge_orphaned_data=True)
a.Reload()
def scalars(tag): return [[e.step, round(e.value, 4)] for e in a.Scalars(tag)]
def content(tag): return plugin_data_pb2.HParamsPluginData.FromString(a.SummaryMetadata(tag).plugin_data.content)
image = a.Images("figures/a")[0]
start = content("_hparams_/session_start_info").session_start_info
print(json.dumps({
  "loss": scalars("train/loss"), "nll": scalars("validation/nll"), "tags": sorted(a.Tags()["scalars"]),
  "image": [image.step, image.width, image.height],
  "rate": start.hparams["learningRate"].number_value, "device": start.hparams["device"].string_value,
  "recompute": start.hparams["recompute"].bool_value, "status": content("_hparams_/session_end_info").session_end_info.status,
  "infos": [i.name for i in content("_hparams_/experiment").experiment.hparam_infos],
  "metrics": [m.name.tag for m in content("_hparams_/experiment").experiment.metric_infos]}))
`;
      const read = spawnSync(python, ["-c", program, folder], { encoding: "utf8" });
      expect(read.status, read.stderr).toBe(0);
      expect(JSON.parse(read.stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
        loss: [
          [1, 1],
          [2, 0.5],
          [3, 30],
          [4, 0.25],
        ],
        nll: [[4, 0.25]],
        image: [4, 1, 1],
        rate: 1e-3,
        device: "cpu",
        recompute: false,
        infos: ["learningRate", "device", "recompute"],
        metrics: ["validation/nll", "train/loss"],
      });
    },
  );
});
