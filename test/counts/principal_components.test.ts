import { describe, expect, it } from "vitest";
import { RandomStream } from "../../lib/base/random.js";
import { type PrincipalComponents, principalComponents } from "../../lib/counts/principal_components.js";

/** Rows of independent normal numbers, those along unit vector `i` of a random basis scaled by scales[i]. */
function matrixOf(rows: number, columns: number, scales: readonly number[], seed = 1) {
  const random = new RandomStream(seed, 9);
  const directions: number[][] = [];
  for (const _ of scales) {
    let one = Array.from({ length: columns }, () => random.normal());
    for (const other of directions) {
      const along = one.reduce((sum, x, i) => sum + x * other[i]!, 0);
      one = one.map((x, i) => x - along * other[i]!);
    }
    const length = Math.hypot(...one);
    directions.push(one.map((x) => x / length));
  }
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (const [j, direction] of directions.entries()) {
      const score = scales[j]! * random.normal();
      for (const [i, x] of direction.entries())
        values[row * columns + i] = values[row * columns + i]! + score * x;
    }
  }
  return { matrix: { values, rows, columns }, directions };
}

/** R'R v / rows for column j of the loadings, beside variance * v. */
function eigenError(
  { values, rows, columns }: { values: Float32Array; rows: number; columns: number },
  { loadings, variances }: PrincipalComponents,
  j: number,
): number {
  const width = variances.length;
  const product = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    let score = 0;
    for (let i = 0; i < columns; i++) score += values[row * columns + i]! * loadings[i * width + j]!;
    for (let i = 0; i < columns; i++) product[i] = product[i]! + (score * values[row * columns + i]!) / rows;
  }
  return Math.max(...product.map((x, i) => Math.abs(x - variances[j]! * loadings[i * width + j]!)));
}

function column({ loadings, variances }: PrincipalComponents, j: number): number[] {
  return Array.from(loadings).filter((_, i) => i % variances.length === j);
}

describe("principal components", () => {
  it("of a matrix that can be solved by hand are its singular vectors, without centring", async () => {
    // R'R = [[25, 20], [20, 25]]: 45 along (1, 1), 5 along (1, -1).
    const matrix = { values: Float32Array.of(3, 0, 4, 5), rows: 2, columns: 2 };
    const { loadings, variances } = await principalComponents(matrix, 2, 0);
    const half = Math.SQRT1_2;
    expect(variances[0]).toBeCloseTo(22.5, 10);
    expect(variances[1]).toBeCloseTo(2.5, 10);
    expect([...loadings].map(Math.abs)).toEqual([half, half, half, half].map((x) => expect.closeTo(x, 10)));
    expect(loadings[0]! * loadings[2]!).toBeGreaterThan(0);
    expect(loadings[1]! * loadings[3]!).toBeLessThan(0);
  });

  for (const [rows, columns] of [
    [90, 60],
    [60, 90],
    [40, 300],
  ] as const) {
    it(`are exact for a small matrix, ${rows} x ${columns}`, async () => {
      const all = Math.min(rows, columns);
      const { matrix } = matrixOf(
        rows,
        columns,
        Array.from({ length: all }, (_, i) => 1 + i / all),
      );
      const found = await principalComponents(matrix, all, 5);
      const few = await principalComponents(matrix, 7, 6);
      const columnsOf = Array.from({ length: all }, (_, j) => column(found, j));
      for (let j = 0; j < all; j++) {
        expect(eigenError(matrix, found, j)).toBeLessThan(1e-9);
        for (let i = 0; i <= j; i++) {
          const along = columnsOf[i]!.reduce((sum, x, k) => sum + x * columnsOf[j]![k]!, 0);
          expect(along).toBeCloseTo(i === j ? 1 : 0, 9);
        }
        if (j > 0) expect(found.variances[j]!).toBeLessThanOrEqual(found.variances[j - 1]!);
      }
      // None is missing: the variances sum to the mean square of the rows.
      const square = matrix.values.reduce((sum, x) => sum + x * x, 0) / rows;
      expect(found.variances.reduce((sum, x) => sum + x, 0)).toBeCloseTo(square, 8);
      // The first ones are the same when fewer are asked for, whatever the start; the sign is fixed.
      for (let j = 0; j < 7; j++) {
        expect(few.variances[j]).toBeCloseTo(found.variances[j]!, 9);
        expect(column(few, j)).toEqual(columnsOf[j]!.map((x) => expect.closeTo(x, 6)));
        expect(Math.max(...columnsOf[j]!)).toBe(Math.max(...columnsOf[j]!.map(Math.abs)));
      }
    });
  }

  it("of a matrix that is too large for exactness find the directions that stand out of noise", async () => {
    const scales = [6, 5, 4, 3, ...Array.from({ length: 200 }, () => 1)];
    const { matrix } = matrixOf(500, 260, scales, 2);
    const found = await principalComponents(matrix, 8, 3);
    for (let j = 0; j < 4; j++) expect(eigenError(matrix, found, j)).toBeLessThan(1e-6 * found.variances[j]!);
    expect(await principalComponents(matrix, 8, 3)).toEqual(found);
  });

  it("beyond the rank are 0", async () => {
    const { matrix } = matrixOf(50, 70, [3, 2]);
    const found = await principalComponents(matrix, 5, 1);
    expect(found.variances[1]).toBeGreaterThan(1);
    // Rounding of the float32 matrix is not 0, and far below anything that is there.
    expect([...found.variances.slice(2)].every((x) => x < 1e-10)).toBe(true);
    const zero = { values: new Float32Array(12), rows: 4, columns: 3 };
    expect(await principalComponents(zero, 2, 1)).toEqual({
      loadings: new Float64Array(6),
      variances: new Float64Array(2),
    });
  });

  it("let the event loop run, and stop when they are told to", async () => {
    const { matrix } = matrixOf(1200, 1200, [3, 2, 1]);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await principalComponents(matrix, 32, 1);
    clearInterval(timer);
    // A turn is 8 ms, and this takes several of them.
    expect(turns).toBeGreaterThan(1);
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 5);
    await expect(principalComponents(matrix, 32, 1, controller.signal)).rejects.toThrow("enough");
  });
});
