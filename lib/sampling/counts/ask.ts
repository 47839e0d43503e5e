import type { ToldConditions } from "../../conditions/cell_conditions.js";
import { networkRows, type ToldCells } from "../../counts/network_rows.js";
import { chooseQueries, type GeneLists } from "../../native/counts.js";
import { type CountSamplingModel, requireBase } from "./model.js";
import type { CheckedCountSampling } from "./options.js";
import type { CountState } from "./state.js";

/** Cells of a state, by number, and the places that are asked about of each. */
export interface AskedCells {
  readonly cells: readonly number[];
  readonly places: readonly Int32Array[];
  /** What each of these cells is told. */
  readonly told: ToldCells;
}

/** Draws counts for the asked places of some cells, as many cells at a time as `maxRows` allows. [places of all cells] */
export async function drawCounts(
  model: CountSamplingModel,
  state: CountState,
  { cells, places, told }: AskedCells,
  options: CheckedCountSampling & { readonly step: number; readonly gamma: number },
): Promise<readonly Int32Array[]> {
  const drawn: Int32Array[] = [];
  const most = model.tokenizer.maxLength;
  const rowsOf = (i: number) => Math.min(1 + state.expressed(cells[i] ?? 0), most) + (places[i]?.length ?? 0);
  for (let first = 0, end = 0; first < cells.length; first = end) {
    let rows = 0;
    for (end = first; end < cells.length && (end === first || rows + rowsOf(end) <= options.maxRows); end++)
      rows += rowsOf(end);
    const part = {
      cells: cells.slice(first, end),
      places: places.slice(first, end),
      told: sliceTold(told, first, end, cells.length),
    };
    drawn.push(...(await drawPart(model, state, part, options)));
  }
  return drawn;
}

async function drawPart(
  model: CountSamplingModel,
  state: CountState,
  { cells, places, told }: AskedCells,
  options: CheckedCountSampling & { readonly step: number; readonly gamma: number },
): Promise<readonly Int32Array[]> {
  const { seed, step, gamma, weights, signal } = options;
  const base = requireBase(model);
  const { batch, hide } = state.view(cells);
  const ask = genesAt(state, cells, places);
  const chosen = await chooseQueries({
    batch,
    panels: state.panels,
    share: base.share,
    hide,
    ask,
    evidence: model.tokenizer.maxLength - 1,
    ...(model.summaryInput === undefined ? {} : { summary: model.summaryInput }),
    seed,
    step,
  });
  const rowsFor = (conditions: ToldConditions) =>
    networkRows(chosen, base, { ...conditions, total: told.total });
  const predict = (conditions: ToldConditions) =>
    model.native.predictCounts(rowsFor(conditions), { weights }, signal);
  using prediction = await predict(gamma === 0 ? nothingTold(told) : told);
  if (gamma !== 0 && gamma !== 1) {
    using without = await predict(nothingTold(told));
    await prediction.guide(without, gamma);
  }
  const { counts } = await prediction.draw({ seed, step });
  return places.map((own, i) => {
    const first = ask.offsets[i] ?? 0;
    return counts.subarray(first, first + own.length);
  });
}

function genesAt(state: CountState, cells: readonly number[], places: readonly Int32Array[]): GeneLists {
  const offsets = new Int32Array(cells.length + 1);
  for (const [i, own] of places.entries()) offsets[i + 1] = (offsets[i] ?? 0) + own.length;
  const genes = new Int32Array(offsets.at(-1) ?? 0);
  for (const [i, own] of places.entries()) {
    const panel = state.panel(cells[i] ?? 0);
    const first = offsets[i] ?? 0;
    for (const [j, place] of own.entries()) genes[first + j] = panel[place] ?? 0;
  }
  return { offsets, genes };
}

/** The same cells without their conditions. */
function nothingTold({ labels, numbers }: ToldConditions): ToldConditions {
  return {
    labels: new Int32Array(labels.length),
    numbers: new Float32Array(numbers.length).fill(Number.NaN),
  };
}

/** Of what some of `count` cells are told, that of cells first .. end - 1. */
function sliceTold(
  { labels, numbers, total }: ToldCells,
  first: number,
  end: number,
  count: number,
): ToldCells {
  const [labelled, numbered] = [labels.length / count, numbers.length / count];
  return {
    labels: labels.slice(first * labelled, end * labelled),
    numbers: numbers.slice(first * numbered, end * numbered),
    total: total.slice(first, end),
  };
}
