import { noiseConditioning, sigmaOf } from "../diffusion/index.js";
import type { NativeObjective, NativePrediction } from "../native/types.js";
import type { DenoisingModel } from "./denoising_model.js";
import { type CellRows, runNetwork } from "./network.js";
import type { CheckedSampling } from "./options.js";
import type { SamplingState } from "./state.js";

/** A categorical draw for rows of one cell: values with weight `reveal` in all, the mask with weight `stay`. */
export interface CellDraw extends CellRows {
  readonly reveal: number;
  readonly stay: number;
  /** Rows to ask the network about where it has to run: these and more, for later draws; default `rows`. */
  readonly ask?: Int32Array;
}

/** What was drawn for a `CellDraw`, row by row. */
export interface DrawnCell {
  readonly place: number;
  readonly rows: Int32Array;
  readonly tokens: Int32Array;
  /** Probability of each drawn value among the values; 0 where the mask was drawn. */
  readonly probability: Float32Array;
}

/** One run of the network and the cells it is still good for. */
interface Run {
  readonly prediction: NativePrediction;
  /** Cells of the predicted batch. */
  readonly cellCount: number;
  /** Those who may still read it: cells, and callers of `hold`. Nobody: its memory is freed. */
  users: number;
}

/** What the network said about one cell: good until one of the cell's tokens changes. */
interface Answer {
  readonly run: Run;
  /** The cell's number in the predicted batch. */
  readonly cell: number;
  /** Rows of the batch that were asked about, ascending; their answers stand end to end from `firstPlace`. */
  readonly rows: Int32Array;
  readonly firstPlace: number;
  /** The cell's state, and the noise level as the network saw it, when it was asked. */
  readonly revision: number;
  readonly told: number;
}

/** Answers that stay readable until they are disposed of, whatever becomes of the cells. */
export interface HeldAnswers extends Disposable {
  /** Each prediction's rows are those of its cells, end to end. */
  readonly parts: readonly { readonly prediction: NativePrediction; readonly cells: readonly CellRows[] }[];
}

/**
 * The network as samplers use it. It runs for a cell only if its answer can differ from the one the cell has: where a
 * token of the cell, or the noise level in a network that is told it, has changed since, or other rows are wanted.
 */
export class SamplingNetwork implements Disposable {
  readonly #model: DenoisingModel;
  readonly #state: SamplingState;
  readonly #options: CheckedSampling;
  readonly #answers = new Map<number, Answer>();

  constructor(model: DenoisingModel, state: SamplingState, options: CheckedSampling) {
    this.#model = model;
    this.#state = state;
    this.#options = options;
  }

  /** Draws tokens for rows of some cells, each cell at most once; `step` names the random numbers. */
  async draw(
    cells: readonly CellDraw[],
    objective: NativeObjective["kind"],
    step: number,
  ): Promise<DrawnCell[]> {
    this.#forgetChanged();
    const asked = cells.filter((cell) => this.#answerTo(cell) === undefined);
    await this.#run(asked.map((cell) => ({ ...cell, rows: cell.ask ?? cell.rows })));
    const byRun = new Map<Run, { draw: CellDraw; answer: Answer }[]>();
    for (const draw of cells) {
      const answer = this.#answers.get(draw.place) as Answer;
      const sharing = byRun.get(answer.run);
      if (sharing === undefined) byRun.set(answer.run, [{ draw, answer }]);
      else sharing.push({ draw, answer });
    }
    const { seed, temperature } = this.#options;
    const drawn: DrawnCell[] = [];
    for (const [run, sharing] of byRun) {
      const weights = {
        reveal: new Float32Array(run.cellCount),
        stay: new Float32Array(run.cellCount),
        sigma: new Float32Array(run.cellCount),
      };
      for (const { draw, answer } of sharing) {
        weights.reveal[answer.cell] = draw.reveal;
        weights.stay[answer.cell] = draw.stay;
        weights.sigma[answer.cell] = sigmaOf(draw.moveChance);
      }
      // In the order of the run's rows, as native draws want them.
      sharing.sort((a, b) => a.answer.cell - b.answer.cell);
      const places = Int32Array.from(sharing.flatMap(({ draw, answer }) => placesOf(draw.rows, answer)));
      const { tokens, probability } = await run.prediction.draw({
        objective,
        ...weights,
        temperature,
        seed,
        step,
        ...(places.length === run.prediction.rows.length ? {} : { places }),
      });
      let start = 0;
      for (const { draw } of sharing) {
        const { place, rows } = draw;
        const end = start + rows.length;
        drawn.push({
          place,
          rows,
          tokens: tokens.slice(start, end),
          probability: probability.slice(start, end),
        });
        start = end;
      }
    }
    return drawn;
  }

  /** Runs the network for rows of some cells and keeps its answers for the caller to read, as well as for later draws. */
  async hold(cells: readonly CellRows[]): Promise<HeldAnswers> {
    const parts = await this.#run(cells);
    for (const { run } of parts) run.users++;
    let held = parts.map(({ run }) => run);
    return {
      parts: parts.map(({ run, cells: own }) => ({ prediction: run.prediction, cells: own })),
      [Symbol.dispose]: () => {
        for (const run of held) leave(run);
        held = [];
      },
    };
  }

  /** Frees what the cells' answers take; held ones stay. */
  [Symbol.dispose](): void {
    for (const place of [...this.#answers.keys()]) this.#forget(place);
  }

  async #run(cells: readonly CellRows[]): Promise<{ run: Run; cells: readonly CellRows[] }[]> {
    const batch = { ...this.#state.batch, tokens: this.#state.tokens };
    const parts: { run: Run; cells: readonly CellRows[] }[] = [];
    for await (const { prediction, cells: own } of runNetwork(this.#model, batch, cells, this.#options)) {
      const run: Run = { prediction, cellCount: own.length, users: own.length };
      parts.push({ run, cells: own });
      let firstPlace = 0;
      for (const [cell, { place, rows, moveChance }] of own.entries()) {
        this.#forget(place);
        this.#answers.set(place, {
          run,
          cell,
          rows,
          firstPlace,
          revision: this.#state.revision(place),
          told: this.#told(moveChance),
        });
        firstPlace += rows.length;
        this.#state.countEvaluation(place);
      }
    }
    return parts;
  }

  /** What the cell's answer says to these rows now; undefined where the network has to run. */
  #answerTo({ place, rows, moveChance }: CellRows): Answer | undefined {
    const answer = this.#answers.get(place);
    if (answer === undefined || answer.told !== this.#told(moveChance)) return undefined;
    return holdsAll(answer.rows, rows) ? answer : undefined;
  }

  /** The noise level as the network sees it. */
  #told(moveChance: number): number {
    const { config, diffusion } = this.#model;
    return config.timeConditioning ? Math.fround(noiseConditioning(diffusion, moveChance)) : 0;
  }

  #forgetChanged(): void {
    for (const [place, { revision }] of this.#answers) {
      if (revision !== this.#state.revision(place)) this.#forget(place);
    }
  }

  #forget(place: number): void {
    const answer = this.#answers.get(place);
    if (answer === undefined) return;
    this.#answers.delete(place);
    leave(answer.run);
  }
}

function leave(run: Run): void {
  run.users--;
  if (run.users === 0) run.prediction[Symbol.dispose]();
}

/** Whether all of `rows` are among `asked`; both ascend. */
function holdsAll(asked: Int32Array, rows: Int32Array): boolean {
  let i = 0;
  for (const row of rows) {
    while (i < asked.length && (asked[i] as number) < row) i++;
    if (asked[i] !== row) return false;
  }
  return true;
}

/** Places of a cell's rows among those of the prediction that holds them. */
function placesOf(rows: Int32Array, { rows: asked, firstPlace }: Answer): number[] {
  const places: number[] = [];
  let i = 0;
  for (const row of rows) {
    while ((asked[i] as number) < row) i++;
    places.push(firstPlace + i);
  }
  return places;
}
