import { describe, expect, it } from "vitest";
import { DATA_OPTIONS } from "../../lib/cli/shared/open.js";
import { flagOf } from "../../lib/cli/shared/option_kinds.js";
import { TRAIN_OPTIONS } from "../../lib/cli/train/given.js";
import { Denoiser } from "../../lib/model/denoiser.js";
import { commandsOf } from "../../lib/report/collect/commands.js";
import type { ReportSubject } from "../../lib/report/collect/subject.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { trainerSettings } from "../../lib/training/options.js";

/** What has no say in the weights, or is told by what is said. */
const LEFT_OUT = new Set([
  ...["resume", "overwrite", "watch", "tensorboard", "device", "recompute", "shardOptimizer"],
  ...["keep", "checkpointEvery"],
  // The run's vocabulary is that of its data, and where its weights came from it does not know.
  ...["vocabulary", "weights"],
  // In place of others that are there.
  ...["batchTokens", "holdout"],
]);
const OF_RANKS = ["values", "timeConditioning", "includeUnexpressed"];
const OF_DIFFUSION = ["objective", "diffusionSteps", "noiseSchedule", "meanMatching", "timeSampling"];
const OF_SAMPLING = ["importanceSampling", "changeOfVariables"];

describe("the command that a report gives", () => {
  it("has every option of train that makes a model of counts what it is", () => {
    const source = GeneVocabulary.fromIds(["A", "B", "C"]);
    const model = Denoiser.describe({
      vocabulary: source,
      preset: "nano",
      tokenizer: { maxLength: 24, minGenes: 2 },
    });
    const settings = trainerSettings(
      {
        lanes: 3,
        accumulation: 2,
        schedule: { kind: "cosine", warmup: 7 },
        queries: { zeros: 5, expressed: 6, thinning: 0.1, mostlyHidden: 3, conditionDrop: 0.3 },
        where: "a = 'b'",
        allowFractional: true,
        validation: { fraction: 0.2, every: 4 },
      },
      { maxLength: 24, ofCounts: true, hidden: 128 },
    );
    const subject = {
      name: "a",
      folder: undefined,
      model: { ...model, ofCounts: true, dtype: "fp32", conditions: [{ name: "c", kind: "labels" }] },
      record: {
        settings,
        schedule: { kind: "cosine", warmup: 7, final: 0.05 },
        steps: 10,
        data: { source: { kind: "file", path: "cells.h5ad", options: {} } },
        state: { step: 10 },
      },
    } as unknown as ReportSubject;
    const [command] = commandsOf(subject);
    const others = new Set([...LEFT_OUT, ...DATA_OPTIONS, ...OF_RANKS, ...OF_DIFFUSION, ...OF_SAMPLING]);
    const missing = TRAIN_OPTIONS.filter(
      (name) => !others.has(name) && !`${command} `.includes(` ${flagOf(name)} `),
    );
    expect(missing).toEqual([]);
  });
});
