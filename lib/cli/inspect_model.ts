import { join } from "node:path";
import { DdscError } from "../base/errors.js";
import type { Condition } from "../conditions/condition.js";
import type { HeldOut } from "../data/select/selection.js";
import { exists, readDescription, TRAINING_FILE } from "../model/model_files.js";
import { SPECIAL_GENES } from "../tokenizer/ragged_batch.js";
import { readRecord, type TrainingRecord } from "../training/state.js";
import type { JsonResult } from "./shared/command.js";
import { type Output, withThousands } from "./shared/output.js";

/** Genes that are named. */
const GENE_NAMES = 5;

/** Shows what is in the folder of a model, and how it was trained where that is recorded. */
export async function inspectModel(path: string, output: Output): Promise<JsonResult> {
  const { config, conditions, diffusion, tokenizer, dtype } = await readDescription(path);
  const { hidden, blocks, heads } = config;
  const { vocabulary, strategy, maxLength } = tokenizer;
  const record = await recordIn(path, output);
  const geneNames = vocabulary.entries.slice(SPECIAL_GENES.length, SPECIAL_GENES.length + GENE_NAMES);
  const named = geneNames.map(({ token }) => token);
  const more = vocabulary.geneCount > named.length ? ", ..." : "";
  output.line(path);
  output.line(`model       ${blocks} blocks, ${hidden} wide, ${heads} heads, ${dtype}`);
  output.line(`vocabulary  ${withThousands(vocabulary.geneCount)} genes: ${named.join(", ")}${more}`);
  const ofCounts = config.counts !== undefined;
  if (ofCounts) {
    output.line(
      `tokens      ${strategy.values} values of counts, at most ${maxLength} tokens of evidence a cell`,
    );
    output.line("objective   any-order bound: hidden genes from visible ones, zeros included");
    output.line(`conditions  ${conditions.length === 0 ? "none" : conditions.map(conditionText).join("; ")}`);
  } else {
    output.line(`tokens      ${strategy.kind}, ${strategy.values} ranks, at most ${maxLength} tokens a cell`);
    output.line(`objective   ${diffusion.objective.kind}, ${diffusion.schedule.kind} schedule`);
  }
  if (record !== undefined)
    for (const line of trainingLines(record, ofCounts ? "gene" : "token")) output.line(line);
  return {
    path,
    config,
    ...(ofCounts ? { conditions } : {}),
    diffusion,
    dtype,
    genes: vocabulary.geneCount,
    geneNames: named,
    strategy: strategy.toJSON(),
    maxLength,
    ...(record === undefined ? {} : { training: trainingJson(record) }),
  };
}

/** The record of the training; undefined for a model without, or, with a note, of one by another version. */
async function recordIn(path: string, output: Output): Promise<TrainingRecord | undefined> {
  if (!(await exists(join(path, TRAINING_FILE)))) return undefined;
  try {
    return await readRecord(path);
  } catch (error) {
    if (!(error instanceof DdscError) || error.code !== "CHECKPOINT_VERSION") throw error;
    output.note(error.message);
    return undefined;
  }
}

/** Labels of a condition that are named. */
const LABELS = 5;

function conditionText(condition: Condition): string {
  const { name } = condition;
  if (condition.kind === "number")
    return `${name} (a number${condition.scale === "log" ? ", as log(1 + value)" : ""})`;
  const some = condition.labels.slice(0, LABELS).join(", ");
  return `${name} (${condition.labels.length} labels: ${some}${condition.labels.length > LABELS ? ", ..." : ""})`;
}

function trainingLines({ state, steps, data }: TrainingRecord, unit: string): string[] {
  const { step, best } = state;
  const of = steps === null ? "" : ` of ${withThousands(steps)}`;
  const score =
    best === null
      ? "not validated"
      : `best ${best.nll.toFixed(4)} nats a ${unit} at step ${withThousands(best.step)}`;
  const where = data.where === null ? "" : `, those where ${data.where}`;
  return [
    `step        ${withThousands(step)}${of}; ${score}`,
    `data        ${data.name}: ${withThousands(data.cells)} cells, ${withThousands(data.genes)} genes${where}`,
    `held out    ${heldOutText(data.heldOut)}`,
  ];
}

function heldOutText(heldOut: HeldOut | null): string {
  if (heldOut === null) return "none";
  return heldOut.kind === "where"
    ? `cells where ${heldOut.where}`
    : `a share of ${heldOut.fraction} of the cells`;
}

function trainingJson({ state, steps, data }: TrainingRecord) {
  const { name, cells, genes, where, heldOut } = data;
  return { step: state.step, steps, best: state.best, data: { name, cells, genes, where, heldOut } };
}
