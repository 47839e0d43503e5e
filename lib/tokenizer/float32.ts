/**
 * Float32 arithmetic in the order PyTorch's vectorised CPU kernels do it, for ranks that agree to the last bit.
 * Number arithmetic is float64; `Math.fround` rounds to float32.
 */

const bits = new DataView(new ArrayBuffer(8));

/** Low 29 bits of a float64 mantissa that a float32 drops, and their middle: a tie when rounding to float32. */
const DROPPED = 0x1fffffff;
const TIE = 0x10000000;

/**
 * float32(a * b + c) rounded once, for float32 a, b, c. The product of two float32 is exact in float64, the sum
 * is not: where it lands on a float32 tie, its own rounding error decides the direction. Exact for results in
 * the normal float32 range.
 */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  const part = sum - product;
  const error = product - (sum - part) + (c - part);
  if (error === 0) return Math.fround(sum);
  bits.setFloat64(0, sum);
  if ((bits.getUint32(4) & DROPPED) !== TIE) return Math.fround(sum);
  const low = bits.getUint32(4) + (error > 0 === sum > 0 ? 1 : -1);
  bits.setUint32(4, low);
  return Math.fround(bits.getFloat64(0));
}

/**
 * `torch.linspace(0, 1, points)`: counted up from 0 in the lower half, down from 1 in the upper half.
 * @returns float32 values, [points]; points >= 2.
 */
export function unitSteps(points: number): Float32Array {
  const step = Math.fround(1 / (points - 1));
  const half = Math.floor(points / 2);
  return Float32Array.from({ length: points }, (_, i) =>
    i < half ? i * step : fusedMultiplyAdd(-step, points - 1 - i, 1),
  );
}

/** `torch.lerp`: from start (weight < 0.5) or from end, so that both ends are met exactly. */
export function interpolate(start: number, end: number, weight: number): number {
  const difference = Math.fround(end - start);
  return weight < 0.5
    ? fusedMultiplyAdd(weight, difference, start)
    : fusedMultiplyAdd(weight - 1, difference, end);
}
