import type { TrainingState } from "./state.js";

/** Validation may rise so much above its best, as a share of that, before it is called over-fitting. */
const RISE = 0.005;

/**
 * What a user should know about a training on counts that has ended.
 * @param last nats a gene of the last validation
 * @param untrained the same before the first step: the negative binomial alone; undefined where it was not measured
 */
export function countNotes(
  { best, validatedStep }: Pick<TrainingState, "best" | "validatedStep">,
  last: number,
  untrained: number | undefined,
): string[] {
  const lowest = best?.nll ?? last;
  if (untrained !== undefined && !(lowest < untrained)) {
    return [
      `the model has learnt nothing yet from the other genes of a cell: ${lowest.toFixed(4)} nats a gene in validation, where the ` +
        `negative binomial at each cell's depth, which it starts from, has ${untrained.toFixed(4)}; train for more steps, or on more cells`,
    ];
  }
  if (best === null || !(last > best.nll * (1 + RISE))) return [];
  return [
    `the model over-fits: validation was ${best.nll.toFixed(4)} nats a gene at step ${best.step} and ${last.toFixed(4)} at step ${validatedStep}; ` +
      "the checkpoint of the former is kept as best and used by the other commands; train on more cells for more",
  ];
}
