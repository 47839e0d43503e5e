import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { inpaint, maskGenes, maskToken } from "../../lib/sampling/index.js";
import { randomModel } from "./random_model.js";

let model: Denoiser;
beforeAll(async () => {
  model = await randomModel(5);
});
afterAll(() => model[Symbol.dispose]());

/** Two cells: cls, then genes 3 and 6; and gene 4 alone. */
const cells = {
  offsets: Int32Array.of(0, 3, 4),
  genes: Int32Array.of(1, 3, 6, 4),
  tokens: Int32Array.of(0, 2, 5, 3),
  cells: Float64Array.of(7, 9),
};

describe("masking genes of cells", () => {
  it("adds those a cell has not and takes the ranks of those it has, by ascending id", () => {
    const mask = maskToken(model);
    expect(maskGenes(model, cells, [6, model.vocabulary.token(4)!])).toEqual({
      offsets: Int32Array.of(0, 4, 6),
      genes: Int32Array.of(1, 3, 4, 6, 4, 6),
      tokens: Int32Array.of(0, 2, mask, mask, mask, mask),
      cells: cells.cells,
    });
    expect([...cells.tokens]).toEqual([0, 2, 5, 3]);
  });

  it("gives what inpainting fills in", async () => {
    const { filled } = await inpaint(model, maskGenes(model, cells, [5]));
    expect([...filled.cell]).toEqual([0, 1]);
    expect([...filled.gene]).toEqual([5, 5]);
  });

  it("refuses genes that the model does not know", () => {
    expect(() => maskGenes(model, cells, ["Nanog"])).toThrow(/^GENE_UNKNOWN: gene "Nanog"/);
    expect(() => maskGenes(model, cells, [5, 5])).toThrow(/^GENE_DUPLICATE/);
    expect(() => maskGenes(model, cells, [])).toThrow(/^ARGUMENT_RANGE/);
  });
});
