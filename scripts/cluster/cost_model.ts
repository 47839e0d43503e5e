/**
 * What several processes cost a training step: bytes, seconds, and how much of a step is work. A model on paper, with no more in it than a
 * reader can check: see `costOf`.
 */

/** A step of one process, on its share of the cells. */
export interface Step {
  /** Seconds of forward, backward and update, nothing sent. */
  readonly seconds: number;
  /** Parameters of the model: a gradient is as many float32 values. */
  readonly parameters: number;
  /** Of these, the share that stands in the blocks: it can be sent while backward goes on. 0: nothing is sent before its end. */
  readonly inBlocks: number;
  readonly blocks: number;
}

/** What joins the processes. */
export interface Network {
  /** Bytes a second that a process sends, and as many that it receives meanwhile. */
  readonly bytesPerSecond: number;
  /** Seconds that a round of messages takes however short they are. */
  readonly latency: number;
  /**
   * Rounds of a bucket in one direction, twice of which a sum has: "direct", each process to each other, as over MPI; "tree", the logarithm of
   * their number, as NCCL has for many.
   */
  readonly rounds: "direct" | "tree";
  /** Bytes that are summed at a time: `Communicator::kBucket`, or on GPUs `atOnceOnDevice` (gradient_sum.cpp) of a large model. */
  readonly bucket: number;
}

/** What a step costs. */
export interface Cost {
  /** Bytes that a process sends, and as many that it receives. */
  readonly bytes: number;
  /** Seconds that the sum takes by itself. */
  readonly sumSeconds: number;
  /** Seconds of it that the process waits for. */
  readonly waiting: number;
  readonly stepSeconds: number;
  /** Share of the step that is work: times the processes, how many times as fast as one they are, each with as many cells. */
  readonly efficiency: number;
}

/** Backward is two thirds of a step: two products where forward has one. */
const BACKWARD = 2 / 3;

/**
 * Each of n processes sends (n - 1)/n of its gradient to those that add it up, and as much of its sums to all. Blocks are sent as backward
 * has them, evenly; what is not through by then, at least that of one block, is waited for, and so is what is not of a block.
 */
export function costOf(step: Step, network: Network, processes: number): Cost {
  if (processes === 1)
    return { bytes: 0, sumSeconds: 0, waiting: 0, stepSeconds: step.seconds, efficiency: 1 };
  const gradient = 4 * step.parameters;
  const bytes = 2 * ((processes - 1) / processes) * gradient;
  const rounds = network.rounds === "direct" ? processes - 1 : Math.ceil(Math.log2(processes));
  const buckets = Math.ceil(gradient / network.bucket);
  const sumSeconds = bytes / network.bytesPerSecond + 2 * buckets * rounds * network.latency;
  const ofBlocks = step.inBlocks * sumSeconds;
  const hidden = BACKWARD * step.seconds * (1 - 1 / step.blocks);
  const waiting = Math.max(ofBlocks - hidden, ofBlocks / step.blocks) + (sumSeconds - ofBlocks);
  const stepSeconds = step.seconds + waiting;
  return { bytes, sumSeconds, waiting, stepSeconds, efficiency: step.seconds / stepSeconds };
}

/** A model's sizes, for work on paper. */
export interface Shape {
  readonly hidden: number;
  readonly blocks: number;
  readonly genes: number;
  /** Tokens of a cell. */
  readonly length: number;
}

/** Parameters of the blocks, their modulation apart, and those of the gene table: what nearly all of a model is. */
export function parametersOf({ hidden, blocks, genes }: Shape): { inBlocks: number; table: number } {
  return { inBlocks: 12 * hidden ** 2 * blocks, table: genes * hidden };
}

/** Floating-point operations of a training step: three times the products of forward, attention's among them. */
export function operationsOf({ hidden, blocks, length }: Shape, cells: number): number {
  const perToken = blocks * (2 * 12 * hidden ** 2 + 4 * length * hidden);
  return 3 * perToken * cells * length;
}
