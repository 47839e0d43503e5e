import { describe, expect, it } from "vitest";
import { fitLogistic, logOdds } from "../../lib/comparison/logistic_regression.js";
import { featuresFrom, normals } from "./support.js";

const every = (size: number) => Int32Array.from({ length: size }, (_, i) => i);

describe("logistic regression", () => {
  // LogisticRegression(C=C, tol=1e-12).fit(Z, y).decision_function(Z) of scikit-learn 1.9.1, Z = (X - X.mean(0)) / X.std(0).
  const dense = [
    [0, 2],
    [1, 0],
    [3, 1],
    [0, 0],
    [2, 4],
    [5, 0],
    [1, 1],
    [4, 3],
    [0, 1],
    [2, 2],
  ];
  const isPositive = Uint8Array.of(0, 0, 1, 0, 1, 1, 0, 1, 1, 0);
  it.each([
    [
      1,
      [
        -0.769364, -0.862429, 0.543686, -1.406262, 0.955199, 1.312903, -0.54398, 1.724416, -1.087813,
        0.318301,
      ],
    ],
    [
      0.05,
      [-0.112217, -0.137688, 0.074927, -0.217639, 0.153108, 0.182119, -0.084977, 0.2603, -0.164928, 0.047686],
    ],
  ])("has the log odds of scikit-learn at C = %f", async (strength, expected) => {
    const features = featuresFrom(dense);
    const model = await fitLogistic(features, isPositive, every(10), strength, undefined);
    const odds = logOdds(features, model, every(10));
    for (const [i, value] of expected.entries()) expect(odds[i]).toBeCloseTo(value, 2);
  });

  it("gives a constant feature no weight, and more cells of one class an intercept", async () => {
    const features = featuresFrom(normals(200, 1, 1).map(([x]) => [x!, 3]));
    const labels = Uint8Array.from({ length: 200 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const model = await fitLogistic(features, labels, every(200), 1, undefined);
    expect(model.weights[1]).toBe(0);
    const odds = logOdds(features, model, every(200));
    const predicted = odds.reduce((sum, z) => sum + 1 / (1 + Math.exp(-z)), 0) / 200;
    expect(predicted).toBeCloseTo(0.25, 3);
  });

  it("does not depend on the scale of a feature", async () => {
    const plain = normals(100, 2, 2);
    const labels = Uint8Array.from(plain, ([x]) => (x! > 0.3 ? 1 : 0));
    const [one, other] = await Promise.all(
      [plain, plain.map(([x, y]) => [x!, 1000 * y!])].map(async (values) => {
        const features = featuresFrom(values);
        return logOdds(features, await fitLogistic(features, labels, every(100), 1, undefined), every(100));
      }),
    );
    for (const [i, value] of one!.entries()) expect(other![i]).toBeCloseTo(value, 2);
  });
});
