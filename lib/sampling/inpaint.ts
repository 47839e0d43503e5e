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
  if (takesMostProbable(checked)) {
    const filled = await describe(evidence, marginals, undefined);
    const tokens = evidence.tokens.slice();
    for (const [i, row] of filled.row.entries()) tokens[row] = (filled.rank[i] as number) + FIRST_RANK_TOKEN;
    return { batch: { ...evidence, tokens }, filled, networkEvaluations };
  }
  for await (const _ of fillIn(model, state, network, checked));
  const { tokens } = state;
  const filled = await describe(evidence, marginals, tokens);
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

/** Describes filled-in tokens, [tokens of the batch]; by default the most probable ones. */
async function describe(
  evidence: RaggedBatch,
  marginals: HeldAnswers,
  filled: Int32Array | undefined,
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
  let entry = 0;
  for (const { prediction, cells } of marginals.parts) {
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
  return result;
}
