import { Purpose, RandomStream } from "../../../lib/base/random.js";
import type { Condition } from "../../../lib/conditions/condition.js";
import { CellSummary } from "../../../lib/counts/cell_summary.js";
import { CountBase } from "../../../lib/counts/count_base.js";
import type { DepthSample } from "../../../lib/counts/depth_sample.js";
import { Denoiser } from "../../../lib/model/denoiser.js";
import { GeneVocabulary } from "../../../lib/tokenizer/index.js";

/** Ids of the first genes. */
export function geneIds(genes: number): Int32Array {
  return Int32Array.from({ length: genes }, (_, i) => 3 + i);
}

/** A small network on counts with random weights throughout, so that what it says hangs on all it sees. */
export async function randomCountModel(
  genes: number,
  meanDepth: number,
  options: {
    readonly conditions?: readonly Condition[];
    readonly depths?: DepthSample;
    readonly maxLength?: number;
    /** Of the random weights. */
    readonly scale?: number;
  } = {},
): Promise<Denoiser> {
  const { conditions = [], depths, maxLength = 1024, scale = 0.3 } = options;
  const model = await Denoiser.create({
    vocabulary: GeneVocabulary.fromIds(Array.from({ length: genes }, (_, i) => `gene ${i}`)),
    shape: { hidden: 32, blocks: 1, heads: 2, condDim: 8 },
    tokenizer: { maxLength },
    conditions,
    trainable: false,
  });
  const random = new RandomStream(1, Purpose.initialise);
  for (const { name, size } of model.parameters) {
    const values = await model.readParameter(name);
    if (values.every((value) => value === 0))
      await model.writeParameter(
        name,
        Float32Array.from({ length: size }, () => scale * random.normal()),
      );
  }
  const share = new Float64Array(genes + 3);
  for (let gene = 0; gene < genes; gene++) share[gene + 3] = (1 + (gene % 3)) / genes;
  const sum = share.reduce((a, b) => a + b, 0);
  const base = new CountBase({
    share: share.map((one) => one / sum),
    size: new Float64Array(genes + 3).fill(2),
    meanDepth,
    spread: 4,
  });
  const width = model.config.counts!.state;
  const summary = new CellSummary({
    genes: geneIds(genes),
    pool: Float32Array.from({ length: genes * width }, () => 0.3 * random.normal()),
    ridge: new Float64Array(width).fill(0.1),
  });
  await model.setBase(base, summary, depths);
  return model;
}
