import { alone } from "../../lib/cluster/cluster.js";
import { CellConditions } from "../../lib/conditions/cell_conditions.js";
import type { MemorySource } from "../../lib/data/sources/memory.js";
import { Denoiser, type DenoiserOptions } from "../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";
import { CountTask } from "../../lib/training/count_task.js";
import { trainingTask } from "../../lib/training/kinds.js";
import { type QuerySettings, trainerSettings } from "../../lib/training/options.js";
import { Validator } from "../../lib/training/validation.js";
import { smallSource } from "./small_run.js";

/** A model of counts that trains in milliseconds a step, dropout included. */
export function smallCountModel(options: Partial<DenoiserOptions> = {}): Promise<Denoiser> {
  return Denoiser.create({
    vocabulary: GeneVocabulary.from(smallSource()),
    shape: { hidden: 32, heads: 2, blocks: 1, condDim: 16 },
    seed: 5,
    ...options,
  });
}

/** Which cells tests train on. */
export const heldOut = { kind: "fraction", fraction: 0.2, seed: 11 } as const;
const data = { where: null, heldOut };

/** Gives a model the base and the summary of a source's training cells. */
export async function learnBase(model: Denoiser, source: MemorySource, cluster = alone): Promise<void> {
  const settings = trainerSettings({}, { maxLength: model.tokenizer.maxLength, ofCounts: true, hidden: 128 });
  await trainingTask(model, source, model.tokenizer, { ...settings, data, cluster });
}

/** The training of a model with a base, as its trainer does it. */
export async function taskOf(
  model: Denoiser,
  source: MemorySource,
  queries: Partial<QuerySettings> = {},
  told = true,
): Promise<CountTask> {
  return new CountTask({
    model,
    conditions: told
      ? await CellConditions.read(source, model.conditions)
      : CellConditions.none(model.conditions),
    panels: model.tokenizer.map(source).panels,
    maxLength: model.tokenizer.maxLength,
    queries: {
      zeros: 64,
      expressed: 256,
      thinning: 0,
      mostlyHidden: 1,
      totalGiven: 0.25,
      stateRate: 3,
      conditionDrop: 0.2,
      ...queries,
    },
  });
}

/** Nats a gene of a model's held-out cells. */
export async function heldOutNats(model: Denoiser, source: MemorySource, told = true): Promise<number> {
  const task = await taskOf(model, source, {}, told);
  const validator = await Validator.create(model, task, source, model.tokenizer, {
    selection: { split: { heldOut, side: "validation" } },
    cells: 1000,
    limit: { kind: "cells", cells: 64 },
    seed: 3,
  });
  return (await validator.run()).nll;
}
