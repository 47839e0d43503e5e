import { Purpose, RandomStream } from "../../lib/base/random.js";
import type { NativeDrawOptions } from "../../lib/native/types.js";

/** A row of logits and what names its random number. */
export interface OracleRow {
  readonly logits: readonly number[];
  /** Cell's number in the predicted batch, and its global index. */
  readonly place: number;
  readonly cell: number;
  readonly position: number;
}

/** DrawTokens as native/ops/ops.h defines it, written down once more, plainly. */
export function drawOracle(
  rows: readonly OracleRow[],
  options: NativeDrawOptions,
): { tokens: Int32Array; probability: Float32Array } {
  const tokens = new Int32Array(rows.length);
  const probability = new Float32Array(rows.length);
  for (const [i, row] of rows.entries()) {
    const mask = row.logits.length - 1;
    const values = row.logits.slice(2, mask);
    const plain = softmax(values, 1);
    const shares = softmax(values, options.temperature);
    const reveal = options.reveal[row.place]!;
    const revealed = reveal * valueMass(row, values, options);
    const stay = options.objective === "sedd" ? Math.max(0, 1 - revealed) : options.stay[row.place]!;
    const uniform = new RandomStream(options.seed, Purpose.draw, options.step, row.cell).uniformAt(
      row.position,
    );
    const point = uniform * (revealed + stay);
    let running = 0;
    tokens[i] = mask;
    for (const [value, share] of shares.entries()) {
      running += revealed * share;
      if (running <= point) continue;
      tokens[i] = value + 2;
      probability[i] = plain[value]!;
      break;
    }
  }
  return { tokens, probability };
}

function valueMass(
  row: OracleRow,
  values: readonly number[],
  { objective, sigma }: NativeDrawOptions,
): number {
  const total = values.reduce((sum, logit) => sum + Math.exp(logit), 0);
  if (objective === "subs") return 1;
  if (objective === "d3pm") return total / (total + Math.exp(row.logits.at(-1)!));
  return total / Math.expm1(sigma![row.place]!) / (row.logits.length - 1);
}

function softmax(logits: readonly number[], temperature: number): number[] {
  const maximum = Math.max(...logits);
  if (temperature === 0) return logits.map((_, i) => (i === logits.indexOf(maximum) ? 1 : 0));
  const weights = logits.map((logit) => Math.exp((logit - maximum) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
