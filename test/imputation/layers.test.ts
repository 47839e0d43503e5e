import { describe, expect, it } from "vitest";
import { chanceAboveZero, negativeBinomialQuantile } from "../../lib/counts/negative_binomial_quantile.js";
import type { DenoisedCells } from "../../lib/imputation/denoise_cells.js";
import { layerRows } from "../../lib/imputation/layers.js";

/** Cells of which each gene has a rate of this mean and shape. */
function alike(cells: number, means: readonly number[], shapes: readonly number[]): DenoisedCells {
  const genes = means.length;
  const of = (values: readonly number[]) =>
    Float64Array.from({ length: cells * genes }, (_, i) => values[i % genes]!);
  return {
    block: {
      rows: Int32Array.from({ length: cells }, (_, row) => 3 * row),
      offsets: new Int32Array(cells + 1),
      columns: new Int32Array(0),
      counts: new Float32Array(0),
    },
    offsets: Int32Array.from({ length: cells + 1 }, (_, cell) => cell * genes),
    columns: Int32Array.from({ length: cells * genes }, (_, i) => 2 * (i % genes)),
    mean: of(means),
    shape: of(shapes),
  };
}

describe("replicate counts", () => {
  it("are as often at most each quantile, and above 0, as their negative binomial says, and genes are independent", async () => {
    const cells = 20_000;
    const [means, shapes] = [
      [0.05, 0.7, 3, 40],
      [0.3, 2, 1, 15],
    ];
    const isPredicted = new Uint8Array(8).fill(1);
    const { offsets, columns, values } = await layerRows("replicate", alike(cells, means, shapes), {
      ...{ least: 0.01, isPredicted, seed: 4 },
    });
    const drawn = means.map(() => new Float64Array(cells));
    for (let cell = 0; cell < cells; cell++)
      for (let i = offsets[cell]!; i < offsets[cell + 1]!; i++) drawn[columns[i]! / 2]![cell] = values[i]!;
    const share = (gene: number, is: (value: number) => boolean) => drawn[gene]!.filter(is).length / cells;
    // Five standard deviations of a share.
    const near = (p: number) => 5 * Math.sqrt((p * (1 - p)) / cells);
    for (const [gene, mean] of means.entries()) {
      const shape = shapes[gene]!;
      const above = chanceAboveZero(mean, shape);
      expect(Math.abs(share(gene, (value) => value > 0) - above)).toBeLessThan(near(above));
      for (const p of [0.1, 0.5, 0.9, 0.99]) {
        const at = negativeBinomialQuantile(p, mean, shape);
        expect(share(gene, (value) => value <= at)).toBeGreaterThan(p - near(p));
        expect(share(gene, (value) => value < at)).toBeLessThan(p + near(p));
      }
      const average = drawn[gene]!.reduce((sum, value) => sum + value, 0) / cells;
      expect(Math.abs(average - mean)).toBeLessThan(5 * Math.sqrt((mean + mean ** 2 / shape) / cells));
    }
    const both = drawn[1]!.filter((value, cell) => value > 0 && drawn[2]![cell]! > 0).length / cells;
    const expected = chanceAboveZero(means[1]!, shapes[1]!) * chanceAboveZero(means[2]!, shapes[2]!);
    expect(Math.abs(both - expected)).toBeLessThan(near(expected));
  });
});
