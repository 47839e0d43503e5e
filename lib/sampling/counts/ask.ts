import type { ToldConditions } from "../../conditions/cell_conditions.js";
import { baseOf, rowsAsked, runsOf } from "../../counts/ask_model.js";
import { networkRows, type ToldCells } from "../../counts/network_rows.js";
import type { CountRows, GeneLists } from "../../native/counts.js";
import type { CountSamplingModel } from "./model.js";
import type { CheckedCountSampling } from "./options.js";
import type { CountState } from "./state.js";
import { nothingTold, toldOf } from "./told.js";

/** A cell of a state, by number, and its places that are asked about, ascending. */
export interface AskedCell {
  readonly cell: number;
  readonly places: Int32Array;
}

/** A step of a sampler. */
export type DrawStep = CheckedCountSampling & { readonly step: number; readonly gamma: number };

/**
 * Draws counts for the asked places of some cells, as many cells at a time as `maxRows` allows, and reveals them when all are drawn.
 * @param told what each cell of the state is told
 */
export async function drawCounts(
  model: CountSamplingModel,
  state: CountState,
  asked: readonly AskedCell[],
  told: ToldCells,
  options: DrawStep,
): Promise<void> {
  const rowsOf = (i: number) => {
    const { cell = 0, places } = asked[i] ?? {};
    return Math.min(1 + state.expressed(cell), model.tokenizer.maxLength) + (places?.length ?? 0);
  };
  const drawn: Int32Array[] = [];
  for (const { first, end } of runsOf(asked.length, rowsOf, options.maxRows)) {
    const part = asked.slice(first, end);
    drawn.push(await drawPart(model, state, part, told, options));
  }
  let run = 0;
  let start = 0;
  for (const { cell, places } of asked) {
    if (start === drawn[run]?.length) [run, start] = [run + 1, 0];
    state.reveal(cell, places, drawn[run]?.subarray(start, start + places.length) ?? new Int32Array(0));
    start += places.length;
  }
}

/** A run of the network, or more where conditions or evidence are to guide: a count of each asked place. */
async function drawPart(
  model: CountSamplingModel,
  state: CountState,
  asked: readonly AskedCell[],
  told: ToldCells,
  { seed, step, gamma, evidenceGuidance, weights, signal }: DrawStep,
): Promise<Int32Array> {
  const cells = asked.map(({ cell }) => cell);
  const { panels } = state;
  const given = { panels, ask: genesAt(state, asked), seed, step };
  const chosen = await rowsAsked(model, { ...given, ...state.view(cells) });
  const blind =
    evidenceGuidance === 1 ? undefined : await rowsAsked(model, { ...given, ...state.hiddenView(cells) });
  const own = toldOf(told, cells, state.cells.length);
  const run = (rows: CountRows, conditions: ToldConditions) =>
    model.native.predictCounts(
      networkRows(rows, baseOf(model), { ...conditions, total: own.total }),
      { weights },
      signal,
    );
  const predict = async (conditions: ToldConditions) => {
    const prediction = await run(chosen, conditions);
    if (blind === undefined) return prediction;
    using without = await run(blind, conditions);
    await prediction.guide(without, evidenceGuidance);
    return prediction;
  };
  using prediction = await predict(gamma === 0 ? nothingTold(own) : own);
  if (gamma !== 0 && gamma !== 1) {
    using without = await predict(nothingTold(own));
    await prediction.guide(without, gamma);
  }
  const { counts } = await prediction.draw({ seed, step });
  return counts;
}

function genesAt(state: CountState, asked: readonly AskedCell[]): GeneLists {
  const offsets = new Int32Array(asked.length + 1);
  for (const [i, { places }] of asked.entries()) offsets[i + 1] = (offsets[i] ?? 0) + places.length;
  const genes = new Int32Array(offsets.at(-1) ?? 0);
  for (const [i, { cell, places }] of asked.entries()) {
    const panel = state.panel(cell);
    const first = offsets[i] ?? 0;
    for (const [j, place] of places.entries()) genes[first + j] = panel[place] ?? 0;
  }
  return { offsets, genes };
}
