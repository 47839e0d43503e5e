/**
 * One process of a training whose exchange is measured: trains simulated cells and prints on rank 0 the median seconds of a step and of its
 * pieces. Run by ranks.ts, with a case of EXCHANGES and whether the optimizer is shared out.
 */
import {
  Denoiser,
  GeneVocabulary,
  joinCluster,
  type PresetName,
  SimulatedSource,
  Trainer,
} from "../lib/index.js";
import { median } from "./statistics.js";

/** What is trained, on so many cells a step of all processes together. */
export interface ExchangeCase {
  readonly preset: PresetName;
  readonly genes: number;
  readonly cells: number;
}

/** Median seconds of a step, or of what of it is an exchange. */
export interface Exchange {
  readonly parameters: number;
  readonly step: number;
  /** From the end of backward until the gradient is summed. */
  readonly waited: number;
  /** The optimizer's; of one that is shared out with the exchange of weights. */
  readonly update: number;
  /** A sum of the whole gradient by itself, while nothing is computed. */
  readonly alone: number;
}

/** Steps that make ready, and those that are measured. */
const FIRST = 3;
const STEPS = 8;

/** Has each call of a method noted with its seconds. */
function time<K extends "sumGradient" | "update">(native: Denoiser["native"], name: K): number[] {
  const seconds: number[] = [];
  const call = native[name].bind(native) as (...given: unknown[]) => Promise<unknown>;
  const timed = async (...given: unknown[]) => {
    const start = performance.now();
    const result = await call(...given);
    seconds.push((performance.now() - start) / 1000);
    return result;
  };
  Object.defineProperty(native, name, { value: timed });
  return seconds;
}

const { preset, genes, cells, shared } = JSON.parse(process.argv[2] ?? "") as ExchangeCase & {
  shared: boolean;
};
const cluster = await joinCluster();
try {
  using source = new SimulatedSource({ cells: 2000, genes });
  const share = shared ? { optimizerShare: { index: cluster.rank, count: cluster.world } } : {};
  using model = await Denoiser.create({ vocabulary: GeneVocabulary.from(source), preset, ...share });
  const [sums, updates] = [time(model.native, "sumGradient"), time(model.native, "update")];
  const trainer = new Trainer(model, { cluster, batchCells: cells, validation: false });
  const steps: number[] = [];
  for await (const { seconds } of trainer.fit(source, { steps: FIRST + STEPS })) steps.push(seconds);
  const waited = sums.splice(0).slice(FIRST);
  for (let i = 0; i < STEPS && cluster.communicator !== undefined; i++) {
    await cluster.barrier();
    await model.native.sumGradient(cluster.communicator);
  }
  const medianOf = (seconds: readonly number[]) => (seconds.length === 0 ? 0 : median(seconds));
  const found: Exchange = {
    parameters: model.parameterCount,
    step: medianOf(steps.slice(FIRST)),
    waited: medianOf(waited),
    update: medianOf(updates.slice(FIRST)),
    alone: medianOf(sums),
  };
  if (cluster.rank === 0) process.stdout.write(`${JSON.stringify(found)}\n`);
  await cluster.leave();
} catch (error) {
  cluster.fail(error);
  throw error;
}
