import { CountBase } from "../../lib/counts/count_base.js";
import { DepthStatistics } from "../../lib/counts/depth_statistics.js";
import { networkRows } from "../../lib/counts/network_rows.js";
import { ratePosterior } from "../../lib/counts/posterior.js";
import { NativeDenoiser } from "../../lib/native/denoiser.js";
import type { DenoiserConfig, DType, NativeCountRows } from "../../lib/native/types.js";
import { CountTokens } from "../../lib/tokenizer/index.js";
import { Comparisons } from "./compare.js";
import { type Fixture, notAFixture } from "./fixture.js";
import { loadWeights } from "./model.js";

/**
 * Everything a fixture of a model of counts knows: values of counts, shares and sizes, logits, tilts, the base,
 * log-probabilities, posteriors, the loss and every parameter's gradient.
 */
export async function compareCounts(fixture: Fixture, dtype: DType, device: string) {
  const comparisons = new Comparisons(dtype);
  const tokens = new CountTokens();
  await compareTokens(fixture, tokens, comparisons);
  await compareStatistics(fixture, comparisons);
  const base = await baseOf(fixture);
  const rows = await rowsOf(fixture, base);
  using model = new NativeDenoiser({ config: configOf(fixture), dtype, device, trainable: true });
  await loadWeights(model, fixture);
  await model.setBase(base.share, base.size);
  await comparePrediction(model, fixture, rows, tokens, comparisons);
  await compareLoss(model, fixture, rows, comparisons);
  return { device: model.device, tensors: comparisons.list };
}

function configOf(fixture: Fixture): DenoiserConfig {
  const json: unknown = JSON.parse(fixture.metadata.config ?? "null");
  if (typeof json !== "object" || json === null) throw notAFixture(fixture.file, "it has no configuration");
  const config = json as Readonly<Record<string, number>>;
  const number = (name: string) => {
    const value = config[name];
    if (typeof value === "number") return value;
    throw notAFixture(fixture.file, `its configuration has no ${name}`);
  };
  return {
    vocabSize: number("vocab_size"),
    geneVocabSize: number("gene_vocab_size"),
    hidden: number("hidden"),
    blocks: number("blocks"),
    heads: number("heads"),
    condDim: number("cond_dim"),
    dropout: number("dropout"),
    timeConditioning: true,
    rotary: false,
    counts: { state: number("state"), conditions: [], summary: 0, learntSizes: false, sizesByState: false },
  };
}

async function compareTokens(fixture: Fixture, tokens: CountTokens, comparisons: Comparisons): Promise<void> {
  comparisons.add("tokens.low", "exact", tokens.low, await fixture.integers("tokens.low"));
  comparisons.add("tokens.high", "exact", tokens.high, await fixture.integers("tokens.high"));
  const counts = await fixture.integers("tokens.encode_counts");
  const values = Int32Array.from(counts, (count) => tokens.valueOf(count));
  comparisons.add("tokens.encode_values", "exact", values, await fixture.integers("tokens.encode_values"));
  comparisons.add("tokens.encode_counts", "exact", counts, counts);
}

/** Shares, sizes and depths of the training cells, worked out again. */
async function compareStatistics(fixture: Fixture, comparisons: Comparisons): Promise<void> {
  const counts = await fixture.integers("in.train_counts");
  const [cells, genes] = fixture.shape("in.train_counts", 2);
  const size = (genes ?? 0) + 3;
  const ids = Int32Array.from({ length: genes ?? 0 }, (_, gene) => gene + 3);
  const statistics = new DepthStatistics(size, [ids]);
  const cellCount = cells ?? 0;
  statistics.add({
    offsets: Int32Array.from({ length: cellCount + 1 }, (_, cell) => cell * ids.length),
    genes: Int32Array.from(counts, (_, i) => ids[i % ids.length] ?? 0),
    tokens: new Int32Array(counts.length),
    cells: Float64Array.from({ length: cellCount }, (_, cell) => cell),
    counts,
    panels: new Int32Array(cellCount),
  });
  const base = statistics.base();
  comparisons.add("out.share", "output", base.share, await fixture.floats("out.share"));
  comparisons.add("out.size", "output", base.size, await fixture.floats("out.size"));
  comparisons.add("out.mean_depth", "output", [base.meanDepth], await fixture.floats("out.mean_depth", 1));
  comparisons.add("out.a", "output", [base.spread], await fixture.floats("out.a", 1));
}

async function baseOf(fixture: Fixture): Promise<CountBase> {
  const one = async (name: string) => (await fixture.doubles(name, 1))[0] ?? Number.NaN;
  return new CountBase({
    share: await fixture.doubles("out.share"),
    size: await fixture.doubles("out.size"),
    meanDepth: await one("out.mean_depth"),
    spread: await one("out.a"),
  });
}

async function rowsOf(fixture: Fixture, base: CountBase): Promise<NativeCountRows> {
  const offsets = await fixture.integers("in.offsets");
  const cells = offsets.length - 1;
  const total = await fixture.floats("in.total", cells);
  const visibleShare = await fixture.doubles("in.visible_share", cells);
  const chosen = {
    offsets,
    keys: await fixture.integers("in.keys", cells),
    tokens: await fixture.integers("in.tokens"),
    genes: await fixture.integers("in.genes"),
    cells: Float64Array.from({ length: cells }, (_, cell) => cell),
    hidden: await fixture.integers("in.hidden", cells),
    measured: await fixture.integers("in.measured", cells),
    visibleTotal: await fixture.doubles("in.visible_total", cells),
    visibleShare,
    hiddenShare: visibleShare.map((share) => 1 - share),
  };
  return networkRows(chosen, base, {
    total: total.map((value) => (value < 0 ? Number.NaN : value)),
    numbers: new Float32Array(0),
    labels: new Int32Array(0),
  });
}

async function comparePrediction(
  model: NativeDenoiser,
  fixture: Fixture,
  rows: NativeCountRows,
  tokens: CountTokens,
  comparisons: Comparisons,
): Promise<void> {
  using prediction = await model.predictCounts(rows);
  const targets = await fixture.integers("in.answers");
  const { values } = tokens;
  const whole = await prediction.logits();
  const vocabulary = whole.length / targets.length;
  const logits = Float32Array.from(
    { length: targets.length * values },
    (_, i) => whole[Math.floor(i / values) * vocabulary + 2 + (i % values)] ?? Number.NaN,
  );
  comparisons.add("out.logits", "output", logits, await fixture.floats("out.logits"));
  const tilt = (await prediction.tilt()).map((value) => Math.max(-6, Math.min(6, value)));
  comparisons.add("out.tilt", "output", tilt, await fixture.floats("out.tilt"));
  const { logProbabilities, mean, variance } = await prediction.statistics({
    targets,
    logProbabilities: true,
  });
  comparisons.add("out.log_probs", "output", logProbabilities, await fixture.floats("out.log_probs"));
  // The base is known up to a constant a query: that its probabilities sum to one takes away.
  const fromFirst = (all: ArrayLike<number>) =>
    Float64Array.from(all, (value, i) => value - (all[i - (i % values)] ?? 0));
  const ours = logProbabilities.map((value, i) => value - (logits[i] ?? 0));
  comparisons.add("out.base", "output", fromFirst(ours), fromFirst(await fixture.floats("out.base")));

  const posteriors = Array.from(targets, (value, query) =>
    ratePosterior(mean[query] ?? 0, variance[query] ?? 0, tokens.low[value] ?? 0),
  );
  comparisons.add(
    "out.posterior_mean",
    "output",
    posteriors.map((posterior) => posterior.mean),
    await fixture.floats("out.posterior_mean"),
  );
  comparisons.add(
    "out.posterior_shape",
    "output",
    posteriors.map(({ shape }) => shape),
    await fixture.floats("out.posterior_shape"),
  );
}

async function compareLoss(
  model: NativeDenoiser,
  fixture: Fixture,
  rows: NativeCountRows,
  comparisons: Comparisons,
): Promise<void> {
  const answers = await fixture.integers("in.answers");
  const weight = await fixture.floats("in.weight");
  let query = 0;
  for (const [cell, hidden] of rows.hidden.entries()) {
    const end = query + (rows.offsets[cell + 1] ?? 0) - (rows.offsets[cell] ?? 0) - (rows.keys[cell] ?? 0);
    for (; query < end; query++) weight[query] = (weight[query] ?? 0) / hidden;
  }
  const cells = rows.keys.length;
  const { loss } = await model.accumulate(
    { rows, answers, weight },
    { gradientScale: 1 / cells, dropoutSeed: 0, step: 1 },
  );
  comparisons.add("out.loss", "output", [loss / cells], await fixture.floats("out.loss", 1));
  for (const { name, offset, size } of model.parameters) {
    if (!fixture.has(`grad.${name}`)) continue;
    const ours = await model.read("gradient", offset, size);
    comparisons.add(`grad.${name}`, "gradient", ours, await fixture.floats(`grad.${name}`, size));
  }
}
