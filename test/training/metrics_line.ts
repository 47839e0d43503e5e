import type { MetricsLine } from "../../lib/training/metrics_lines.js";

/** A line of metrics that has a step, a loss and perhaps a validation. */
export function metricsLine(step: number, loss: number | null, nll?: number): MetricsLine {
  return {
    step,
    loss,
    gradientNorm: null,
    learningRate: null,
    seconds: null,
    tokensPerSecond: null,
    epoch: null,
    validation: nll === undefined ? null : { nll, crossEntropy: null, accuracy: null },
  };
}
