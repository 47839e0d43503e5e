/** SUBS and the ancestral sampler's weights from logits, in float64: what a fixture's `out.*` are compared with. */

/**
 * log p(x0 | xt), [tokens, V]: no mass on the mask token, and a token that is not masked keeps its value with
 * probability one (Sahoo et al. 2024). Where there is no mass, -Infinity.
 */
export function subsLogProbabilities(
  logits: Float32Array,
  noisy: Int32Array,
  vocabulary: number,
): Float64Array {
  const mask = vocabulary - 1;
  const out = new Float64Array(logits.length).fill(Number.NEGATIVE_INFINITY);
  for (const [token, value] of noisy.entries()) {
    const start = token * vocabulary;
    if (value !== mask) {
      out[start + value] = 0;
      continue;
    }
    const row = Float64Array.from(logits.subarray(start, start + mask));
    const highest = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const logSum = highest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
    out.set(
      row.map((logit) => logit - logSum),
      start,
    );
  }
  return out;
}

/** Weights of q(xs | xt) with move chances t and s = 0.9 t, as the fixtures have them: [tokens, V]. */
export function ancestralProbabilities(
  logProbabilities: Float64Array,
  offsets: Int32Array,
  time: Float32Array,
  vocabulary: number,
): Float64Array {
  const out = new Float64Array(logProbabilities.length);
  for (const [cell, late] of time.entries()) {
    const early = late * 0.9;
    for (let token = offsets[cell] as number; token < (offsets[cell + 1] as number); token++) {
      const start = token * vocabulary;
      for (let value = 0; value < vocabulary - 1; value++) {
        out[start + value] = Math.exp(logProbabilities[start + value] as number) * (late - early);
      }
      out[start + vocabulary - 1] = early;
    }
  }
  return out;
}

/** Anything this low stands for no mass: the reference writes about -1e6. */
const NO_MASS = -1e5;

/** The finite logarithms, zeros in place of the others, and where those are (1). */
export function splitInfinite(values: ArrayLike<number>): { finite: Float64Array; infinite: Uint8Array } {
  const infinite = Uint8Array.from(values, (value) => (value < NO_MASS ? 1 : 0));
  return { finite: Float64Array.from(values, (value, i) => (infinite[i] === 1 ? 0 : value)), infinite };
}
