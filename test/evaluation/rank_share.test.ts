import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RankShare } from "../../lib/evaluation/rank_share.js";
import { together } from "../cluster/in_process.js";

describe("RankShare", () => {
  it("gives every thing to one rank, shares that differ by one at most, and every rank all values", async () => {
    const value = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.NEGATIVE_INFINITY, -0));
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(value, { maxLength: 40 }),
        fc.boolean(),
        async (world, width, given, isSingle) => {
          const count = Math.floor(given.length / width);
          const whole = (isSingle ? Float32Array : Float64Array).from(given.slice(0, count * width));
          const thingOf = (place: number) => place % count;
          const done = new Int32Array(count);
          const found = await together(world, async (cluster) => {
            const share = new RankShare(count, cluster);
            expect(share.end - share.first).toBeLessThanOrEqual(Math.ceil(count / world));
            for (let thing = share.first; thing < share.end; thing++) done[thing]!++;
            const isOwn = (place: number) => thingOf(place) >= share.first && thingOf(place) < share.end;
            const values = whole.map((each, place) => (isOwn(place) ? each : 99));
            await share.exchange(values, thingOf);
            return values;
          });
          expect([...done].every((times) => times === 1)).toBe(true);
          for (const values of found) expect(values).toEqual(whole);
        },
      ),
    );
  });
});
