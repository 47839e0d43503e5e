import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fusedMultiplyAdd, interpolate, unitSteps } from "../../lib/tokenizer/float32.js";

describe("fused multiply-add in float32", () => {
  it("rounds once where float64 would round to a float32 tie first", () => {
    // a * b = 2^-24 (1 - 2^-46): in float64, c + a * b and c - a * b fall on ties, though both lie just inside.
    const [a, b] = [1 + 2 ** -23, (1 - 2 ** -23) * 2 ** -24];
    const c = 1 + 2 ** -23;
    expect(fusedMultiplyAdd(a, b, c)).toBe(c);
    expect(fusedMultiplyAdd(a, -b, c)).toBe(c);
    expect(fusedMultiplyAdd(-a, b, -c)).toBe(-c);
    expect(fusedMultiplyAdd(a, b, -c)).toBe(-c);
  });

  it("equals exact integer arithmetic", () => {
    const small = fc.integer({ min: -(2 ** 24), max: 2 ** 24 });
    // Scaled by 2^exponent, c has a magnitude that makes the float64 sum inexact.
    const exponents = fc.integer({ min: -40, max: 40 });
    fc.assert(
      fc.property(small, small, small, exponents, (a, b, c, exponent) => {
        const scaled = c * 2 ** exponent;
        expect(fusedMultiplyAdd(a, b, scaled)).toBe(roundToFloat32(a, b, c, exponent));
      }),
      { numRuns: 2000 },
    );
  });
});

/** float32(a * b + c * 2^exponent) by way of exact integers: round to nearest, ties to even. */
function roundToFloat32(a: number, b: number, c: number, exponent: number): number {
  const shift = exponent < 0 ? -exponent : 0;
  const sum = ((BigInt(a) * BigInt(b)) << BigInt(shift)) + (BigInt(c) << BigInt(exponent + shift));
  const magnitude = sum < 0n ? -sum : sum;
  const drop = BigInt(Math.max(0, magnitude.toString(2).length - 24));
  const unit = 1n << drop;
  let kept = magnitude / unit;
  const rest = 2n * (magnitude % unit);
  if (rest > unit || (rest === unit && kept % 2n === 1n)) kept++;
  const rounded = Number(kept) * 2 ** (Number(drop) - shift);
  return sum < 0n ? -rounded : rounded;
}

describe("torch.linspace and torch.lerp", () => {
  it("steps agree with torch.linspace(0, 1, 52)", () => {
    const steps = unitSteps(52);
    const known: [number, number][] = [
      [0, 0],
      [1, 0.019607843831181526],
      [25, 0.4901961088180542],
      [26, 0.5098038911819458],
      [29, 0.5686274170875549],
      [31, 0.6078431010246277],
      [50, 0.9803921580314636],
      [51, 1],
    ];
    for (const [i, value] of known) expect(steps[i]).toBe(value);
  });

  // start, end, weight and what torch.lerp gives; the formula of the other half would give another last bit.
  it.each([
    [0.07380605489015579, 0.22097796201705933, 0.5269731283187866, 0.15136168897151947],
    [2.9844813346862793, 16.80540657043457, 0.5532036423683167, 10.630268096923828],
    [0.03702542930841446, 2.836590528488159, 0.5749161839485168, 1.6465407609939575],
    [0.057803962379693985, 2.2541000843048096, 0.510739266872406, 1.179538607597351],
    [1.8008612394332886, 4.992818355560303, 0.44648438692092896, 3.226020097732544],
    [0.22925779223442078, 27.990617752075195, 0.4107435941696167, 11.632059097290039],
    [0.5978685021400452, 2.9516260623931885, 0.41752761602401733, 1.5806273221969604],
    [0.7050093412399292, 61.79383850097656, 0.44348374009132385, 27.796911239624023],
  ])("lerp(%d, %d, %d) is %d", (start, end, weight, expected) => {
    expect(interpolate(start, end, weight)).toBe(expected);
  });
});
