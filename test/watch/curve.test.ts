import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Curve, type CurveStep } from "../../lib/watch/curve.js";

const at = (step: number, loss: number | null = step): CurveStep => ({
  ...{ step, loss, tokensPerSecond: 1, learningRate: null, gradientNorm: 2 },
});

function curveOf(steps: readonly number[], most: number): Curve {
  const curve = new Curve(most);
  for (const step of steps) curve.add(at(step));
  return curve;
}

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

describe("a curve", () => {
  it("is every step while they are few", () => {
    expect(curveOf(upTo(3), 4).from(0)).toEqual({
      steps: [1, 2, 3],
      loss: [1, 2, 3],
      tokensPerSecond: [1, 1, 1],
      learningRate: [null, null, null],
      gradientNorm: [2, 2, 2],
    });
  });

  it("is the means of twice as many steps whenever there are too many", () => {
    const curve = curveOf(upTo(9), 4);
    expect(curve.width).toBe(4);
    expect(curve.from(0)).toMatchObject({ steps: [4, 8, 9], loss: [2.5, 6.5, 9] });
  });

  it("tells the first point that changed, once", () => {
    const curve = curveOf(upTo(2), 4);
    expect(curve.takeChange()).toBe(0);
    expect(curve.takeChange()).toBeUndefined();
    curve.add(at(3));
    expect(curve.takeChange()).toBe(2);
    curve.undo(2);
    expect(curve.takeChange()).toBe(1);
    expect(curve.from(1).steps).toEqual([]);
  });

  it("goes on from a step that comes again, without those after it", () => {
    const curve = curveOf(upTo(4), 8);
    curve.add(at(2, 20));
    curve.add(at(3, 30));
    expect(curve.from(0)).toMatchObject({ steps: [1, 2, 3], loss: [1, 20, 30] });
  });

  it("ascends, is bounded and keeps the last step, whatever steps come", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 200 })),
        fc.integer({ min: 1, max: 20 }),
        (steps, most) => {
          const curve = curveOf(steps, most);
          const shown = curve.from(0).steps;
          expect(shown.length).toBeLessThanOrEqual(most);
          expect(shown).toEqual([...new Set(shown)].sort((a, b) => a - b));
          expect(shown.at(-1)).toBe(steps.at(-1));
        },
      ),
    );
  });

  it("rebuilt from its changes is the same", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 60 }))), (batches) => {
        const curve = new Curve(8);
        const copy: number[] = [];
        for (const batch of batches) {
          for (const step of batch) curve.add(at(step));
          const from = curve.takeChange();
          if (from !== undefined) copy.splice(from, copy.length, ...curve.from(from).steps);
          expect(copy).toEqual(curve.from(0).steps);
        }
      }),
    );
  });
});
