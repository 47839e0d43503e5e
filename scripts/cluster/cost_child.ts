/**
 * One process of a measured training: trains simulated cells, so many of them a process and step, and prints on rank 0 the median seconds of
 * a step, and of a sum of the gradient alone. Run by cluster_cost.ts.
 */
import { Denoiser, GeneVocabulary, joinCluster, SimulatedSource, Trainer } from "../../lib/index.js";
import type { Step } from "./cost_model.js";

/** Steps that make ready, and those that are measured. */
const FIRST = 4;
const STEPS = 16;
const SUMS = 10;

/** What rank 0 prints. */
export interface Measured extends Step {
  /** Seconds of a sum of the whole gradient; 0 of one process alone. */
  readonly sumSeconds: number;
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const [cells = ""] = process.argv.slice(2);
const cluster = await joinCluster();
try {
  using source = new SimulatedSource({ cells: 2000, genes: 1000 });
  using model = await Denoiser.create({ vocabulary: GeneVocabulary.from(source), preset: "nano" });
  const trainer = new Trainer(model, {
    cluster,
    batchCells: Number(cells) * cluster.world,
    validation: false,
  });
  const seconds: number[] = [];
  for await (const step of trainer.fit(source, { steps: FIRST + STEPS })) seconds.push(step.seconds);
  const sums: number[] = [];
  if (cluster.communicator !== undefined)
    for (let i = 0; i < SUMS; i++) {
      await cluster.barrier();
      const start = performance.now();
      await model.native.sumGradient(cluster.communicator);
      sums.push((performance.now() - start) / 1000);
    }
  const { parameters, bufferSize } = model.native;
  const ofBlocks = parameters.filter(({ name }) => /^blocks\.\d+\.(?!adaLN)/.test(name));
  const measured: Measured = {
    seconds: medianOf(seconds.slice(FIRST)),
    sumSeconds: sums.length === 0 ? 0 : medianOf(sums),
    parameters: bufferSize,
    inBlocks:
      ofBlocks.reduce((sum, { shape }) => sum + shape.reduce((size, n) => size * n, 1), 0) / bufferSize,
    blocks: model.config.blocks,
  };
  if (cluster.rank === 0) process.stdout.write(`${JSON.stringify(measured)}\n`);
  await cluster.leave();
} catch (error) {
  cluster.fail(error);
  throw error;
}
