import { Purpose, RandomStream } from "../../base/random.js";
import type { Cluster } from "../../cluster/cluster.js";
import { RankShare } from "../rank_share.js";
import type { CellResamples } from "./bootstrap.js";
import { type Calibration, CalibrationTotals } from "./calibration.js";
import { type CountBase, type CountCells, cellCount, totalCounts } from "./count_cells.js";
import { EntryPlaces, type HiddenScores, HiddenTotals } from "./hidden_entries.js";
import { answersOf, type HiddenGenes, maskCells } from "./masked_cells.js";
import type { CountPredictor } from "./predictor.js";

/** Cells at a time. */
const CHUNK = 64;

/** Sums of one method at one share of hidden genes, by cell. */
export interface MaskedTotals {
  /** Nats over hidden genes, and over those that are expressed, [cells]. */
  readonly nats: Float64Array;
  readonly expressedNats: Float64Array;
  /** Hidden genes, and those that are expressed, [cells]. */
  readonly genes: Float64Array;
  readonly expressedGenes: Float64Array;
  /** Squared errors of log1p(CP10k) over hidden genes, [cells], and the scores; where details were asked for. */
  readonly squares?: Float64Array;
  readonly hidden?: HiddenScores;
  readonly calibration?: Calibration;
}

/** How predictions are gone through. */
export interface MaskedOptions {
  readonly seed: number;
  /** For calibration and errors of hidden entries, which are taken where given. */
  readonly details?: CellResamples;
  readonly pause: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** The ranks that share the cells; all have the same result. Default this process alone. */
  readonly cluster?: Cluster | undefined;
}

/** Lets methods predict the same hidden genes, some cells at a time. */
export async function predictHidden<Name extends string>(
  methods: ReadonlyMap<Name, CountPredictor>,
  cells: CountCells,
  hidden: HiddenGenes,
  base: CountBase,
  options: MaskedOptions,
): Promise<Map<Name, MaskedTotals>> {
  const count = cellCount(cells);
  const { details } = options;
  const share = new RankShare(count, options.cluster);
  const places = details === undefined ? undefined : new EntryPlaces(hidden, base.share, share.first);
  const totals = totalCounts(cells);
  const sums = new Map(
    [...methods.keys()].map((name) => [
      name,
      {
        nats: new Float64Array(count),
        expressedNats: new Float64Array(count),
        genes: new Float64Array(count),
        expressedGenes: new Float64Array(count),
        calibration: details === undefined ? undefined : new CalibrationTotals(count),
        entries: places === undefined ? undefined : new HiddenTotals(places, count),
      },
    ]),
  );
  for (let { first } = share; first < share.end; first += CHUNK) {
    const masked = maskCells(cells, hidden, first, Math.min(share.end, first + CHUNK), base);
    const answers = answersOf(cells, masked);
    const { offsets, genes } = masked.queries;
    const draws = details === undefined ? new Float64Array(0) : uniforms(masked.cells, offsets, options.seed);
    for (const [name, sum] of sums) {
      const predictor = methods.get(name) as CountPredictor;
      const predictions = await predictor.predict(masked, answers, options.signal);
      masked.cells.forEach((cell, i) => {
        const from = offsets[i] as number;
        const to = offsets[i + 1] as number;
        let nats = 0;
        let expressedNats = 0;
        let expressed = 0;
        for (let query = from; query < to; query++) {
          const each = -(predictions.logProbability[query] as number);
          nats += each;
          if (answers[query] === 0) continue;
          expressedNats += each;
          expressed++;
        }
        sum.nats[cell] = nats;
        sum.expressedNats[cell] = expressedNats;
        sum.genes[cell] = to - from;
        sum.expressedGenes[cell] = expressed;
        sum.calibration?.add(cell, predictions, answers, draws, from, to);
        sum.entries?.add(cell, totals[cell] as number, genes, answers, predictions.mean, from, to);
      });
      await options.pause();
    }
  }
  const results = new Map<Name, MaskedTotals>();
  for (const [name, { calibration, entries, ...sum }] of sums) {
    for (const table of Object.values(sum)) await share.exchange(table);
    await calibration?.exchange(share);
    await entries?.exchange(share);
    if (details === undefined || entries === undefined || calibration === undefined) {
      results.set(name, sum);
      continue;
    }
    const scores = await entries.scores(details, options.pause);
    results.set(name, {
      ...sum,
      squares: entries.byCell.squares,
      ...(scores === undefined ? {} : { hidden: scores }),
      calibration: calibration.scores(details),
    });
  }
  return results;
}

/** One uniform number a query, of its cell's own stream: the same for every method. */
function uniforms(cells: Int32Array, offsets: Int32Array, seed: number): Float64Array {
  const draws = new Float64Array(offsets.at(-1) as number);
  cells.forEach((cell, i) => {
    const stream = new RandomStream(seed, Purpose.draw, 0, cell);
    for (let query = offsets[i] as number; query < (offsets[i + 1] as number); query++) {
      draws[query] = stream.uniform();
    }
  });
  return draws;
}
