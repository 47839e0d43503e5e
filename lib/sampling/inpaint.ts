import { checkKind } from "../base/arguments.js";
import { DdscError, wrongType } from "../base/errors.js";
import { validateBatch } from "../batching/validate.js";
import { noiseSchedule } from "../diffusion/index.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type DenoisingModel, maskToken } from "./denoising_model.js";
import { type CheckedSampling, checkSampling, type SamplingOptions } from "./options.js";
import { fillIn } from "./sample.js";
import { type HeldAnswers, SamplingNetwork } from "./sampling_network.js";
import { SamplingState } from "./state.js";

/** Options of `inpaint`. */
export interface InpaintOptions extends SamplingOptions {
  /**
   * Which tokens are evidence, [tokens]: 1 keeps a token, 0 masks it and fills it in. Special tokens are always kept.
   * Default: whatever is not the mask token is evidence.
   */
  readonly keep?: Uint8Array;
  /**
   * The count that each rank stands for in a cell of the batch, by the cell's number in it, [R]: as `strategy.decode` gives it for
   * the cell's own counts. Asked once for each cell with something masked; `expectedCount` says what it is for.
   */
  readonly countsOf?: (cell: number) => Float32Array;
}

/** Filled-in entries, by row; all arrays are [entries]. */
export interface FilledEntries {
  /** The entry's cell: its number in the batch. */
  readonly cell: Int32Array;
  /** The entry's token number in the batch, ascending. */
  readonly row: Int32Array;
  /** Gene id. */
  readonly gene: Int32Array;
  /** The rank that was filled in, 0..R-1. */
  readonly rank: Int32Array;
  /** E[rank] given the evidence alone. */
  readonly expectedRank: Float32Array;
  /** Probability of the filled-in rank given the evidence alone. */
  readonly probability: Float32Array;
  /** E[count of the rank] given the evidence alone, the counts as `countsOf` tells them; left out without it. */
  readonly expectedCount?: Float32Array;
}

/** What `inpaint` returns. */
export interface InpaintResult {
  /** The cells with every masked token filled in. */
  readonly batch: RaggedBatch;
  readonly filled: FilledEntries;
  /** How often the network ran for each cell, the run that describes `filled` included, [cells]. */
  readonly networkEvaluations: Int32Array;
}

/**
 * Fills in the masked tokens of cells, the rest held as evidence. Sampled ranks are a joint draw; `expectedRank` and
 * `probability` are each entry's own marginal given the evidence. What the network says for them is where samplers start,
 * too, so that it runs again only in a network that is told another noise level; it takes V floats a masked token for
 * as long as the call lasts. Cells with nothing masked, and a batch without cells, come back as they are. Throws as `sample`, and
 * `ARGUMENT_RANGE` for a `keep` of another length or of another value than 0 and 1.
 */
export async function inpaint(
  model: DenoisingModel,
  cells: RaggedBatch,
  options: InpaintOptions = {},
): Promise<InpaintResult> {
  const mask = maskToken(model);
  checkKind("cells", cells, "batch");
  checkKind("options", options, "options");
  const evidence = options.keep === undefined ? cells : maskTokens(cells, options.keep, mask);
  const { countsOf } = options;
  if (countsOf !== undefined) checkKind("countsOf", countsOf, "function");
  const checked = checkSampling(options, model);
  validateBatch(evidence, {
    geneVocabularySize: model.config.geneVocabSize,
    tokenCount: model.config.vocabSize,
    mayBeEmpty: true,
  });
  const state = new SamplingState(evidence, mask);
  using network = new SamplingNetwork(model, state, checked);
  const moveChance = noiseSchedule(model.diffusion.schedule).moveChance(1);
  using marginals = await network.hold(
    state.unfinished().map((place) => ({ place, rows: state.masked(place), moveChance })),
  );
  const { networkEvaluations } = state;
  const expectation = countsOf && { countsOf, ranks: model.config.vocabSize - FIRST_RANK_TOKEN - 1 };
  if (takesMostProbable(checked)) {
    const filled = await describe(evidence, marginals, undefined, expectation);
    const tokens = evidence.tokens.slice();
    for (const [i, row] of filled.row.entries()) tokens[row] = (filled.rank[i] as number) + FIRST_RANK_TOKEN;
    return { batch: { ...evidence, tokens }, filled, networkEvaluations };
  }
  for await (const _ of fillIn(model, state, network, checked));
  const { tokens } = state;
  const filled = await describe(evidence, marginals, tokens, expectation);
  return { batch: { ...evidence, tokens }, filled, networkEvaluations };
}

/** Whether all ranks are filled in at once, each with its most probable value: the marginals say all that is needed. */
function takesMostProbable({ sampler, temperature }: CheckedSampling): boolean {
  return sampler.kind === "parallel" && sampler.steps === 1 && temperature === 0;
}

function maskTokens(batch: RaggedBatch, keep: Uint8Array, mask: number): RaggedBatch {
  if (!(keep instanceof Uint8Array)) throw wrongType("keep", keep, "a Uint8Array of 0 and 1");
  if (keep.length !== batch.tokens.length) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `expected keep of length ${batch.tokens.length} (one entry a token) but received length ${keep.length}`,
      { argument: "keep" },
    );
  }
  const neither = keep.findIndex((kept) => kept > 1);
  if (neither >= 0) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `expected 0 or 1 for keep but received ${keep[neither]} at token ${neither}`,
      { argument: "keep" },
    );
  }
  const tokens = batch.tokens.map((token, row) =>
    token >= FIRST_RANK_TOKEN && keep[row] === 0 ? mask : token,
  );
  return { ...batch, tokens };
}

/** What ranks stand for, where the mean of that is asked for. */
interface Expectation {
  readonly countsOf: (cell: number) => Float32Array;
  /** R. */
  readonly ranks: number;
}

/** Describes filled-in tokens, [tokens of the batch]; by default the most probable ones. */
async function describe(
  evidence: RaggedBatch,
  marginals: HeldAnswers,
  filled: Int32Array | undefined,
  expectation: Expectation | undefined,
): Promise<FilledEntries> {
  const entries = marginals.parts.reduce((sum, { prediction }) => sum + prediction.rows.length, 0);
  const result = {
    cell: new Int32Array(entries),
    row: new Int32Array(entries),
    gene: new Int32Array(entries),
    rank: new Int32Array(entries),
    expectedRank: new Float32Array(entries),
    probability: new Float32Array(entries),
  };
  const expectedCount = new Float32Array(expectation === undefined ? 0 : entries);
  let entry = 0;
  for (const { prediction, cells } of marginals.parts) {
    if (expectation !== undefined)
      expectedCount.set(meanCounts(await prediction.logits(), cells, expectation), entry);
    const given =
      filled && Int32Array.from(cells.flatMap(({ rows }) => [...rows].map((row) => filled[row] as number)));
    const { best, bestProbability, targetLogProbability, expectedToken } = await prediction.statistics(given);
    const targets = given ?? best;
    let place = 0;
    for (const { place: cell, rows } of cells) {
      for (const row of rows) {
        result.cell[entry] = cell;
        result.row[entry] = row;
        result.gene[entry] = evidence.genes[row] as number;
        result.rank[entry] = (targets[place] as number) - FIRST_RANK_TOKEN;
        result.expectedRank[entry] = (expectedToken[place] as number) - FIRST_RANK_TOKEN;
        result.probability[entry] =
          given === undefined
            ? (bestProbability[place] as number)
            : Math.exp(targetLogProbability[place] as number);
        entry++;
        place++;
      }
    }
  }
  return expectation === undefined ? result : { ...result, expectedCount };
}

/** Mean of what ranks stand for, by softmax over the ranks' logits at temperature 1, row by row of a prediction. */
function meanCounts(
  logits: Float32Array,
  cells: HeldAnswers["parts"][number]["cells"],
  { countsOf, ranks }: Expectation,
): Float32Array {
  const width = ranks + FIRST_RANK_TOKEN + 1;
  const means = new Float32Array(logits.length / width);
  let row = 0;
  for (const { place, rows } of cells) {
    const counts = countsOf(place);
    if (!(counts instanceof Float32Array) || counts.length !== ranks) {
      const text = `expected a Float32Array of ${ranks} counts from countsOf for cell ${place} of the batch`;
      throw new DdscError("ARGUMENT_TYPE", text, { argument: "countsOf" });
    }
    for (const end = row + rows.length; row < end; row++) {
      const own = logits.subarray(row * width + FIRST_RANK_TOKEN, (row + 1) * width - 1);
      means[row] = softmaxMean(own, counts);
    }
  }
  return means;
}

/** Sum of values weighted by the softmax of logits. */
function softmaxMean(logits: Float32Array, values: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) highest = Math.max(highest, logit);
  let total = 0;
  let weighted = 0;
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp((logits[i] as number) - highest);
    total += weight;
    weighted += weight * (values[i] as number);
  }
  return weighted / total;
}
