import { Purpose, RandomStream } from "../base/random.js";
import { isTurnOver, takeTurn } from "../base/turns.js";
import type { BinnedFeatures } from "./features.js";

/** What a forest is grown with. */
export interface ForestOptions {
  readonly trees: number;
  readonly seed: number;
  /** Tells forests of one seed apart, 0 to 1023. */
  readonly number: number;
  readonly signal: AbortSignal | undefined;
}

/** Step of the stream `Purpose.shuffle` that trees draw from, apart from an epoch's. */
const TREE_STEP = 2 ** 43 + 1024;
/** Where a tree's node is a leaf. */
const LEAF = -1;

/**
 * Random forest (Breiman 2001) of classification trees on binned features: each tree grown to pure leaves on a bootstrap sample,
 * each split the best by Gini impurity of sqrt(features) that are drawn, constant ones included, and of more until one of them
 * is not constant (as scikit-learn does). A function of its arguments alone.
 *
 * @param isPositive class of each cell, 0 or 1, [cells]
 * @param train places of the cells to learn from, @param test those to predict
 * @returns mean over the trees of the share of class 1 in each test cell's leaf, [test]
 */
export async function forestScores(
  features: BinnedFeatures,
  isPositive: Uint8Array,
  train: Int32Array,
  test: Int32Array,
  { trees, seed, number, signal }: ForestOptions,
): Promise<Float64Array> {
  const scores = new Float64Array(test.length);
  const grower = new TreeGrower(features, isPositive, train.length);
  for (let tree = 0; tree < trees; tree++) {
    const stream = new RandomStream(seed, Purpose.shuffle, TREE_STEP + number, tree);
    const sample = Int32Array.from(train, () => train[stream.below(train.length)] as number);
    await grower.grow(sample, stream, signal);
    for (const [i, cell] of test.entries()) scores[i] = (scores[i] as number) + grower.shareAt(cell);
  }
  return scores.map((score) => score / trees);
}

/** Grows one tree at a time in the same memory. */
class TreeGrower {
  readonly #features: BinnedFeatures;
  readonly #isPositive: Uint8Array;
  /** By node: feature that splits it, or `LEAF`; last bin that goes left; its first child, the other one follows; share of class 1. */
  readonly #feature: Int32Array;
  readonly #bin: Uint8Array;
  readonly #child: Int32Array;
  readonly #share: Float64Array;
  /** All features, those drawn last for a node at the front. */
  readonly #order: Int32Array;
  /** Cells of each bin and class of a feature, [256, 2]. */
  readonly #histogram = new Int32Array(512);

  constructor(features: BinnedFeatures, isPositive: Uint8Array, cells: number) {
    this.#features = features;
    this.#isPositive = isPositive;
    const nodes = 2 * cells;
    this.#feature = new Int32Array(nodes);
    this.#bin = new Uint8Array(nodes);
    this.#child = new Int32Array(nodes);
    this.#share = new Float64Array(nodes);
    this.#order = Int32Array.from({ length: features.width }, (_, feature) => feature);
  }

  /** Grows a tree on a sample of cells, which is put in another order. */
  async grow(sample: Int32Array, stream: RandomStream, signal: AbortSignal | undefined): Promise<void> {
    let nodes = 1;
    const open = [{ node: 0, start: 0, end: sample.length }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (isTurnOver()) await takeTurn(signal);
      const { node, start, end } = next;
      const positive = this.#count(sample, start, end);
      this.#share[node] = positive / (end - start);
      const split =
        positive > 0 && positive < end - start && this.#split(sample, start, end, positive, stream);
      if (!split) {
        this.#feature[node] = LEAF;
        continue;
      }
      const middle = this.#divide(sample, start, end, split.feature, split.bin);
      this.#feature[node] = split.feature;
      this.#bin[node] = split.bin;
      this.#child[node] = nodes;
      open.push({ node: nodes, start, end: middle }, { node: nodes + 1, start: middle, end });
      nodes += 2;
    }
  }

  /** Share of class 1 in the leaf of a cell. */
  shareAt(cell: number): number {
    const { bins, cells } = this.#features;
    let node = 0;
    for (;;) {
      const feature = this.#feature[node] as number;
      if (feature === LEAF) return this.#share[node] as number;
      const isRight = (bins[feature * cells + cell] as number) > (this.#bin[node] as number);
      node = (this.#child[node] as number) + (isRight ? 1 : 0);
    }
  }

  #count(sample: Int32Array, start: number, end: number): number {
    let positive = 0;
    for (let i = start; i < end; i++) positive += this.#isPositive[sample[i] as number] as number;
    return positive;
  }

  /** The best split of the features that are drawn; undefined where all features are constant. */
  #split(
    sample: Int32Array,
    start: number,
    end: number,
    positive: number,
    stream: RandomStream,
  ): { readonly feature: number; readonly bin: number } | undefined {
    const { width } = this.#features;
    const wanted = Math.max(1, Math.floor(Math.sqrt(width)));
    let best: { feature: number; bin: number; gain: number } | undefined;
    for (let drawn = 0; drawn < width && (drawn < wanted || best === undefined); drawn++) {
      const place = drawn + stream.below(width - drawn);
      const feature = this.#order[place] as number;
      this.#order[place] = this.#order[drawn] as number;
      this.#order[drawn] = feature;
      const found = this.#bestBin(feature, sample, start, end, positive);
      if (found !== undefined && (best === undefined || found.gain > best.gain)) best = { feature, ...found };
    }
    return best;
  }

  /** The bin after which to split by a feature, and how pure that is; undefined for a feature that is constant. */
  #bestBin(
    feature: number,
    sample: Int32Array,
    start: number,
    end: number,
    positive: number,
  ): { bin: number; gain: number } | undefined {
    const histogram = this.#histogram;
    const { bins, cells } = this.#features;
    const isPositive = this.#isPositive;
    const base = feature * cells;
    let lowest = 255;
    let highest = 0;
    for (let i = start; i < end; i++) {
      const cell = sample[i] as number;
      const bin = bins[base + cell] as number;
      const at = 2 * bin + (isPositive[cell] as number);
      histogram[at] = (histogram[at] as number) + 1;
      if (bin < lowest) lowest = bin;
      if (bin > highest) highest = bin;
    }
    let best: { bin: number; gain: number } | undefined;
    let [left, leftPositive, last] = [0, 0, -1];
    for (let bin = lowest; bin <= highest; bin++) {
      const ones = histogram[2 * bin + 1] as number;
      const here = (histogram[2 * bin] as number) + ones;
      histogram[2 * bin] = 0;
      histogram[2 * bin + 1] = 0;
      if (here === 0) continue;
      if (left > 0) {
        const gain = purity(left, leftPositive) + purity(end - start - left, positive - leftPositive);
        // Halfway between the bins that the node has.
        if (best === undefined || gain > best.gain) best = { bin: (last + bin) >> 1, gain };
      }
      left += here;
      leftPositive += ones;
      last = bin;
    }
    return best;
  }

  /** Puts the cells that go left first; returns where the others begin. */
  #divide(sample: Int32Array, start: number, end: number, feature: number, bin: number): number {
    const { bins, cells } = this.#features;
    const base = feature * cells;
    let middle = start;
    for (let i = start; i < end; i++) {
      const cell = sample[i] as number;
      if ((bins[base + cell] as number) > bin) continue;
      sample[i] = sample[middle] as number;
      sample[middle++] = cell;
    }
    return middle;
  }
}

/** Cells times (1 - Gini impurity) of one side: its sum over both sides is largest where the impurity is least. */
function purity(cells: number, positive: number): number {
  return (positive * positive + (cells - positive) * (cells - positive)) / cells;
}
