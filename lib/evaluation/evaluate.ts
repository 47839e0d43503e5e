import { checkKind, checkOptions } from "../base/arguments.js";
import { checkChoice, checkNumber, checkSeed, checkWhole, DdscError, wrongType } from "../base/errors.js";
import { validateBatch } from "../batching/validate.js";
import type { Cluster } from "../cluster/cluster.js";
import { noiseSchedule } from "../diffusion/index.js";
import { type DenoisingModel, maskToken } from "../sampling/denoising_model.js";
import { type CellRows, predictCells } from "../sampling/network.js";
import { FIRST_RANK_TOKEN, type RaggedBatch } from "../tokenizer/ragged_batch.js";
import { type BaselineScores, BaselineTotals } from "./baseline_totals.js";
import { type BaselineKind, RankBaselines } from "./baselines.js";
import { DEFAULT_RATIOS } from "./defaults.js";
import { type GroupScores, GroupTotals } from "./groups.js";
import { maskedRows } from "./masking.js";
import { RankShare } from "./rank_share.js";
import { type EvaluationScores, ScoreTotals, scoresByRatio } from "./scores.js";

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Chances to mask a token, each in (0, 1]; default 0.2, 0.5 and 0.8. */
  readonly ratios?: readonly number[];
  /** Names the masks; whole number below 2^53, default 0. */
  readonly seed?: number;
  /** Fitted on the training cells; scored on the same masked tokens. Default: none. */
  readonly baselines?: RankBaselines;
  /** Default the model's `inferenceWeights`. */
  readonly weights?: "weights" | "ema";
  /** Tokens in one run of the network at most (a longer cell runs alone). Default 65,536. */
  readonly maxTokens?: number;
  /**
   * Tells the group of each cell of a batch, such as its type, from its index (`RaggedBatch.cells`): the model is then scored
   * group by group, too. At most 1,000 groups. Default: none.
   */
  readonly groupsOf?: (cells: Float64Array) => Promise<readonly string[]>;
  /**
   * The processes that share the cells of every batch, each with the same other options and batches: what `joinCluster` gave. All have
   * the result of one process, bit for bit. Default this one alone.
   */
  readonly cluster?: Cluster;
  /** Ends the evaluation: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What `evaluate` returns; plain JSON. */
export interface EvaluationResult {
  /** Held-out cells. */
  readonly cells: number;
  /** Their rank tokens. */
  readonly tokens: number;
  /** Scores of the model by mask ratio, written as a number ("0.5"). */
  readonly ratios: Readonly<Record<string, EvaluationScores>>;
  /** Scores of the model by group, those of most cells first; absent without `groupsOf`. */
  readonly groups?: Readonly<Record<string, GroupScores>>;
  /** Empty unless baselines were given. */
  readonly baselines: Readonly<Partial<Record<BaselineKind, BaselineScores>>>;
}

/**
 * Masks held-out cells at each ratio (see `maskedRows`), lets the model predict what was masked and compares: accuracy,
 * cross-entropy and rank error, beside the baselines. Batches are read one at a time.
 *
 * Throws `ARGUMENT_*`, `BATCH_INVALID`, in a cluster `CLUSTER_MISMATCH` where ranks have other batches, `EVALUATION_GROUPS` for too many groups, and `EVALUATION_EMPTY` where nothing was masked; rejects with the
 * signal's reason when aborted.
 */
export async function evaluate(
  model: DenoisingModel,
  heldOut: Iterable<RaggedBatch> | AsyncIterable<RaggedBatch>,
  options: EvaluateOptions = {},
): Promise<EvaluationResult> {
  checkKind("model", model, "model");
  checkKind("heldOut", heldOut, "batches");
  checkOptions(options, { ratios: "list", groupsOf: "function", cluster: "object", signal: "signal" });
  if (options.baselines !== undefined && !(options.baselines instanceof RankBaselines)) {
    throw wrongType("baselines", options.baselines, "RankBaselines");
  }
  const ratios = checkRatios(options.ratios ?? DEFAULT_RATIOS);
  const seed = checkSeed(options.seed ?? 0);
  const network = {
    weights: checkChoice("weights", options.weights ?? model.inferenceWeights, ["weights", "ema"]),
    maxTokens: checkWhole("maxTokens", options.maxTokens ?? 65_536, 1),
    signal: options.signal,
    cluster: options.cluster,
  };
  const modelTotals = new Map(ratios.map((ratio) => [ratio, new ScoreTotals()]));
  const baselines =
    options.baselines === undefined ? undefined : new BaselineTotals(options.baselines, ratios);
  const groups = options.groupsOf === undefined ? undefined : new GroupTotals(ratios);
  let cells = 0;
  let tokens = 0;
  for await (const batch of heldOut) {
    checkKind("heldOut", batch, "batch");
    if (batch.cells.length === 0) continue;
    validateBatch(batch, { geneVocabularySize: model.config.geneVocabSize, tokenCount: maskToken(model) });
    const valid = rankTokens(batch.tokens);
    const labels = await options.groupsOf?.(batch.cells);
    if (labels !== undefined) checkKind("what groupsOf returns", labels, "list");
    for (const [cell, label] of labels?.entries() ?? []) {
      groups?.addCell(label, rankTokens(batch.tokens.subarray(batch.offsets[cell], batch.offsets[cell + 1])));
    }
    cells += batch.cells.length;
    tokens += valid;
    for (const [ratio, totals] of modelTotals) {
      const masked = maskedRows(batch, ratio, seed);
      totals.addValid(valid);
      await score(model, batch, masked, ratio, network, (place, ...token) => {
        totals.addMasked(...token);
        groups?.at(labels?.[place] ?? "", ratio)?.addMasked(...token);
      });
      baselines?.addMasked(ratio, batch, masked, valid);
    }
    baselines?.addAll(batch, maskedRows(batch, 1, seed), valid);
  }
  return {
    cells,
    tokens,
    ratios: scoresByRatio(modelTotals),
    ...(groups === undefined ? {} : { groups: groups.scores() }),
    baselines: baselines?.scores() ?? {},
  };
}

function rankTokens(tokens: Int32Array): number {
  return tokens.reduce((count, token) => (token >= FIRST_RANK_TOKEN ? count + 1 : count), 0);
}

function checkRatios(ratios: readonly number[]): readonly number[] {
  if (ratios.length === 0) {
    throw new DdscError("ARGUMENT_RANGE", "expected at least one mask ratio for ratios but received none", {
      argument: "ratios",
    });
  }
  return ratios.map((ratio) => checkNumber("ratios", ratio, { min: 1e-6, max: 1 }));
}

/** Lets the model predict the masked rows of one batch; `add` is told the cell's place and what came out, token by token. */
async function score(
  model: DenoisingModel,
  batch: RaggedBatch,
  masked: readonly Int32Array[],
  ratio: number,
  network: Parameters<typeof predictCells>[3] & { readonly cluster: Cluster | undefined },
  add: (place: number, ...token: Parameters<ScoreTotals["addMasked"]>) => void,
): Promise<void> {
  const tokens = batch.tokens.slice();
  for (const rows of masked) for (const row of rows) tokens[row] = maskToken(model);
  // The network knows no more noise than that of t = 1.
  const moveChance = Math.min(ratio, noiseSchedule(model.diffusion.schedule).moveChance(1));
  const share = new RankShare(masked.length, network.cluster);
  const asked: CellRows[] = masked
    .map((rows, place) => ({ place, rows, moveChance }))
    .filter(({ place, rows }) => rows.length > 0 && place >= share.first && place < share.end);
  // By masked token, cell by cell: what is most probable, and the log-probability of what is right.
  const places = masked.flatMap((rows, place) => Array.from(rows, () => place));
  const bounds = [0];
  for (const { length } of masked) bounds.push((bounds.at(-1) as number) + length);
  const found = { best: new Float64Array(places.length), logProbability: new Float64Array(places.length) };
  await predictCells(model, { ...batch, tokens }, asked, network, async (prediction, part) => {
    const targets = Int32Array.from(
      part.flatMap(({ rows }) => Array.from(rows, (row) => batch.tokens[row] as number)),
    );
    const { best, targetLogProbability } = await prediction.statistics(targets);
    let next = 0;
    for (const { place, rows } of part) {
      const end = next + rows.length;
      found.best.set(best.subarray(next, end), bounds[place]);
      found.logProbability.set(targetLogProbability.subarray(next, end), bounds[place]);
      next = end;
    }
  });
  for (const values of [found.best, found.logProbability])
    await share.exchange(values, (token) => places[token] as number);
  let token = 0;
  for (const [place, rows] of masked.entries()) {
    for (const row of rows) {
      add(
        place,
        batch.tokens[row] as number,
        found.best[token] as number,
        found.logProbability[token] as number,
      );
      token++;
    }
  }
}
