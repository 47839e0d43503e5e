import fc from "fast-check";
import { expect, it } from "vitest";
import { lowerBound, upperBound } from "../../lib/base/search.js";

it("bounds are the numbers of values below, and of those not above, in an ascending list with repeats", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 30 }),
      fc.integer({ min: -1, max: 21 }),
      (list, value) => {
        const values = Float64Array.from(list).sort();
        expect(lowerBound(values, value)).toBe(list.filter((other) => other < value).length);
        expect(upperBound(values, value)).toBe(list.filter((other) => other <= value).length);
      },
    ),
  );
});
