import type { TrainingState } from "./state.js";

/** Validation may rise so much above its best, as a share of that, before it is called over-fitting. */
const RISE = 0.005;

/**
 * What a user should know about a training on counts that has ended.
 * @param last nats a gene of the last validation
 * @param first the same before the first step; undefined where it was not measured
 * @param goesOn whether the model was trained before; if not, it began as the negative binomial alone
 */
export function countNotes(
  { best, validatedStep }: Pick<TrainingState, "best" | "validatedStep">,
  last: number,
  first: number | undefined,
  goesOn: boolean,
): string[] {
  const lowest = best?.nll ?? last;
  if (first !== undefined && !(lowest < first)) {
    const remedy = "train for more steps, or on more cells";
    return goesOn
      ? [
          `validation has become no better than before the first step: ${lowest.toFixed(4)} nats a gene, ${first.toFixed(4)} before; ${remedy}`,
        ]
      : [
          `the model has learnt nothing yet from the other genes of a cell: ${lowest.toFixed(4)} nats a gene in validation, where the ` +
            `negative binomial at each cell's depth, which it starts from, has ${first.toFixed(4)}; ${remedy}`,
        ];
  }
  if (best === null || !(last > best.nll * (1 + RISE))) return [];
  return [
    `the model over-fits: validation was ${best.nll.toFixed(4)} nats a gene at step ${best.step} and ${last.toFixed(4)} at step ${validatedStep}; ` +
      "the checkpoint of the former is kept as best and used by the other commands; train on more cells for more",
  ];
}
