/** How a sampler with a fixed number of steps spreads a cell's tokens over them. */
export type UnmaskingSchedule = "cosine" | "linear";

/** So that 0.2 of 10 tokens are 2. */
const ROUNDING = 1e-9;

/**
 * Tokens of a cell that stay masked after step `step` (from 0) of `steps`: of `start` at the beginning a share
 * cos(pi/2 u) ("cosine") or 1 - u ("linear") when a part u of the steps is done, rounded down; always fewer than the
 * `masked` before the step, and none after the last one.
 */
export function maskedAfter(
  schedule: UnmaskingSchedule,
  at: { readonly step: number; readonly steps: number; readonly start: number; readonly masked: number },
): number {
  const ahead = (at.steps - at.step - 1) / at.steps;
  const share = schedule === "linear" ? ahead : Math.sin((Math.PI / 2) * ahead);
  return Math.max(0, Math.min(at.masked - 1, Math.floor(share * at.start + ROUNDING)));
}
