import { join } from "node:path";
import { formatDuration } from "../../base/duration.js";
import type { CellSource } from "../../data/sources/source.js";
import type { Denoiser } from "../../model/denoiser.js";
import type { LoadedWeights } from "../../model/going_on.js";
import type { TrainingOutcome } from "../../tasks/begin_training.js";
import { type CheckedMemory, gibibytes } from "../../tasks/training_memory.js";
import type { FitEnd } from "../../training/fit.js";
import type { Trainer } from "../../training/trainer.js";
import type { ValidationResult } from "../../training/validation.js";
import { describeDevice } from "../shared/open.js";
import { type Output, withThousands } from "../shared/output.js";

/** Labels that are named in a line at most. */
const SOME_LABELS = 5;

/** Says what a model has from the weights that it goes on from, and what of it is new. */
export function describeWeights(from: string, loaded: LoadedWeights): string {
  const { knownGenes, newGenes, leftGenes, newConditions, leftConditions, newLabels } = loaded;
  const parts = [`${withThousands(knownGenes)} genes known`];
  if (newGenes.length > 0) parts.push(`${withThousands(newGenes.length)} new`);
  if (leftGenes.length > 0) parts.push(`${withThousands(leftGenes.length)} left out`);
  for (const condition of new Set(newLabels.map((label) => label.condition))) {
    const labels = newLabels.filter((label) => label.condition === condition).map(({ label }) => label);
    const more = labels.length > SOME_LABELS ? ", ..." : "";
    parts.push(
      `${withThousands(labels.length)} new of condition ${condition} (${labels.slice(0, SOME_LABELS).join(", ")}${more})`,
    );
  }
  if (newConditions.length > 0) parts.push(`new conditions: ${newConditions.join(", ")}`);
  if (leftConditions.length > 0) parts.push(`left out conditions: ${leftConditions.join(", ")}`);
  return `from   ${from}: ${parts.join("; ")}`;
}

/** Says what is trained on what. */
export function describeRun({ model, state }: Trainer, source: CellSource, output: Output): void {
  const { parameterCount, vocabulary, dtype, device } = model;
  output.line(
    `data   ${source.name}: ${withThousands(source.cellCount)} cells, ${withThousands(source.genes.length)} genes`,
  );
  describeDevice(model, output);
  output.line(
    `model  ${(parameterCount / 1e6).toFixed(1)} million parameters, ${withThousands(vocabulary.geneCount)} genes, ${dtype} on ${device}`,
  );
  if (state.step > 0) output.line(`going on after step ${withThousands(state.step)}`);
}

function describeValidation(
  { nll, bitsPerToken, perplexity, crossEntropy }: ValidationResult,
  { ofCounts }: Denoiser,
): string {
  if (ofCounts) return `${nll.toFixed(4)} nats a gene, over all shares of hidden genes`;
  return (
    `${nll.toFixed(4)} nats a token, ${bitsPerToken.toFixed(4)} bits, perplexity ${perplexity.toFixed(3)}; ` +
    `${crossEntropy.toFixed(4)} nats a masked token`
  );
}

const ENDS: Readonly<Record<FitEnd, string>> = {
  steps: "trained",
  time: "trained",
  patience: "ended, as validation got no better,",
  aborted: "stopped",
};

/** Says how much memory training takes at most, and warns where that is more than is free. */
export function describeMemory({ needed, machine, remedy }: CheckedMemory, output: Output): void {
  const { parameters, activations, scratch, total, batch } = needed;
  output.line(
    `memory ${gibibytes(total)} at most: ${gibibytes(parameters)} parameters, ` +
      `${gibibytes(activations + scratch)} for a batch of ${withThousands(batch.tokens)} tokens; ` +
      `${gibibytes(machine.available)} available`,
  );
  if (total > machine.available) {
    output.note(`memory: this may be more than is free now; ${remedy}, or end what else uses it`);
  }
}

/** Says how the run ended and where its model is. */
export function summarise(
  out: string,
  trainer: Trainer,
  startStep: number,
  { end, step, best, seconds, validation }: TrainingOutcome,
  output: Output,
): void {
  const done = withThousands(step - startStep);
  if (end === "steps" && step === startStep) {
    const asked = trainer.steps === undefined ? "" : ` and ${withThousands(trainer.steps)} were asked for`;
    output.line(
      `nothing to do: ${withThousands(step)} steps are done${asked}; to go on, pass --steps above ${step}`,
    );
  } else {
    output.line(`${ENDS[end ?? "steps"]} after ${done} steps in ${formatDuration(seconds)}`);
  }
  if (validation !== undefined) output.line(`validation  ${describeValidation(validation, trainer.model)}`);
  const unit = trainer.model.ofCounts ? "gene" : "token";
  if (best !== null)
    output.line(`best        ${best.nll.toFixed(4)} nats a ${unit}, at step ${withThousands(best.step)}`);
  output.line(`model       ${join(out, best === null ? "last" : "best")}`);
  if (end === "aborted") output.line(`go on with  ddsc train --resume --out ${out}`);
}
