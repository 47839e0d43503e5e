import type { NativeCommunicator } from "../native/communicator.js";

/**
 * The processes that work on one thing together, such as a training. Every rank makes the same calls in the same order; each throws
 * `CLUSTER_PEER_LOST` once a rank died or failed, `CLUSTER_TIMEOUT` where peers do not answer, and `CLUSTER_MPI` or `CLUSTER_TCP` where
 * what carries their words fails.
 */
export interface Cluster {
  /** Number of this process, from 0; 0 alone writes. */
  readonly rank: number;
  /** How many processes there are. */
  readonly world: number;
  /** Number of this process among those of its machine, and how many they are. */
  readonly localRank: number;
  readonly localWorld: number;
  /** In one line: who takes part, over which library. */
  readonly description: string;
  /** What users should know of how the processes were started. */
  readonly notes: readonly string[];
  /** For sums of gradients; undefined for a process alone. */
  readonly communicator: NativeCommunicator | undefined;
  /** What each rank gave, as JSON carries it, in the order of ranks. */
  gather<T>(value: T): Promise<readonly T[]>;
  /** Sums of numbers over all ranks, added in the order of ranks in float64: the same bits on every rank. */
  sum(values: readonly number[]): Promise<number[]>;
  /** The largest of what the ranks gave. */
  largest(value: number): Promise<number>;
  /** Whether any rank says so. */
  agree(said: boolean): Promise<boolean>;
  /**
   * Has NCCL sum the gradients of models on this device from then on, where every rank has a GPU of its own and the library; without it they
   * go through the memory of the host, and a note says why. Once: later calls do nothing. Throws `CLUSTER_NCCL` where ranks have
   * different versions.
   *
   * @param device as `Denoiser.create` takes it, or as a model describes its own
   */
  useDevice(device: string): Promise<void>;
  /** Waits for all ranks to get here. */
  barrier(): Promise<void>;
  /** Leaves, once all ranks do: when the work is done on each of them. */
  leave(): Promise<void>;
  /**
   * Tells the other ranks why this one fails, so that they end, too. The process lives on for a moment, until they have: launchers
   * kill what runs once a process has ended.
   */
  fail(error: unknown): void;
}

/** One process, which is all ranks. */
export const alone: Cluster = {
  rank: 0,
  world: 1,
  localRank: 0,
  localWorld: 1,
  description: "one process",
  notes: [],
  communicator: undefined,
  gather: async (value) => [value],
  sum: async (values) => [...values],
  largest: async (value) => value,
  agree: async (said) => said,
  useDevice: async () => undefined,
  barrier: async () => undefined,
  leave: async () => undefined,
  fail: () => undefined,
};
