import { expect, it } from "vitest";
import { inpaint, sample } from "../../lib/sampling/index.js";
import { correlated } from "../known_joint.js";
import { jointModel, maskedJointCells } from "./joint_model.js";

it("fills in the most probable ranks with one run of the network, as the sampler's own step does", async () => {
  const cells = maskedJointCells(correlated, 6, [undefined, 1, undefined]);
  const options = { sampler: { kind: "parallel", steps: 1 }, temperature: 0 } as const;
  const model = jointModel(correlated);
  const { batch, filled } = await inpaint(model, cells, options);
  expect(model.calls).toHaveLength(1);
  const sampled = await sample(jointModel(correlated), cells, options);
  expect(batch).toEqual(sampled.batch);
  for (const [entry, row] of filled.row.entries()) {
    const marginal = correlated.conditional(row % 3, [undefined, 1, undefined]);
    expect(filled.probability[entry]).toBeCloseTo(Math.max(...marginal), 6);
    expect(filled.rank[entry]).toBe(batch.tokens[row]! - 2);
  }
});
