import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Denoiser } from "../../lib/model/denoiser.js";
import { modelParameters } from "../../lib/native/parameters.js";
import { GeneVocabulary } from "../../lib/tokenizer/index.js";

const vocabulary = GeneVocabulary.fromIds(Array.from({ length: 40 }, (_, i) => `gene${i}`));
const shape = { hidden: 32, blocks: 1, heads: 2, condDim: 8 };
/** Far less than a model of most of the sizes below would take, which is a gigabyte and more. */
const MOST_MEGABYTES = 300;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-shape-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

const peak = () => process.resourceUsage().maxRSS / 1024;

describe("a configuration that claims more than the weights hold", () => {
  it.each([
    ["geneVocabSize", 2 ** 24],
    ["hidden", 8192],
    ["blocks", 256],
    ["condDim", 16_384],
    ["counts.state", 16],
    ["counts.summary", 4096],
  ] as const)(
    "is refused from the file's header, before memory is taken for it (%s)",
    async (field, value) => {
      const folder = join(root, field);
      using model = await Denoiser.create({ vocabulary, shape, trainable: false });
      await model.save(folder);
      const file = join(folder, "config.json");
      const config = JSON.parse(await readFile(file, "utf8"));
      const [outer = "", inner] = field.split(".");
      if (inner === undefined) config.model[outer] = value;
      else config.model[outer][inner] = value;
      if (field === "hidden") config.model.heads = 32;
      await writeFile(file, JSON.stringify(config));
      const before = peak();
      await expect(Denoiser.load(folder)).rejects.toMatchObject({ code: "CHECKPOINT_TENSORS" });
      expect(peak() - before).toBeLessThan(MOST_MEGABYTES);
    },
  );
});

it("parameters are listed for a shape as a model of it has them", async () => {
  for (const values of ["counts", "ranks"] as const) {
    using model = await Denoiser.create({ vocabulary, shape, values, trainable: false });
    expect(modelParameters(model.config)).toEqual(model.parameters);
  }
});
