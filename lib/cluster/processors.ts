/** What a rank may run on. */
export interface ProcessorShare {
  /** Name of its machine. */
  readonly machine: string;
  /** Numbers of the processors that it may run on. */
  readonly processors: readonly number[];
}

/** A rank's place on its machine. */
export interface LocalPlace {
  readonly threads: number;
  /** Its number among the ranks of its machine, and how many they are. */
  readonly localRank: number;
  readonly localWorld: number;
}

/**
 * How many threads a rank should have, and which of how many ranks of its machine it is. Ranks that a launcher bound to processors of their own use
 * all of these; those that share some divide them.
 */
export function shareProcessors(all: readonly ProcessorShare[], rank: number): LocalPlace {
  const own = all[rank];
  if (own === undefined) return { threads: 1, localRank: 0, localWorld: 1 };
  const mine = new Set(own.processors);
  const local = all.filter(({ machine }) => machine === own.machine);
  const sharing = local.filter(({ processors }) => processors.some((processor) => mine.has(processor)));
  const threads = Math.floor(own.processors.length / Math.max(1, sharing.length));
  const before = all.slice(0, rank).filter(({ machine }) => machine === own.machine);
  return { threads: Math.max(1, threads), localRank: before.length, localWorld: local.length };
}
