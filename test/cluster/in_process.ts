import { alone, type Cluster } from "../../lib/cluster/cluster.js";

/** Ranks within this process: each is to be given to work of its own that runs at the same time as that of the others. */
export function ranksInProcess(world: number): Cluster[] {
  let given: string[] = [];
  let waiting: ((texts: readonly string[]) => void)[] = [];
  const gather = async <T>(rank: number, value: T): Promise<T[]> => {
    // As MPI carries it: whatever JSON lacks is lost here, too.
    given[rank] = JSON.stringify({ value });
    const texts = await new Promise<readonly string[]>((resolve) => {
      if (waiting.push(resolve) < world) return;
      const [round, all] = [waiting, given];
      [waiting, given] = [[], []];
      for (const tell of round) tell(all);
    });
    return texts.map((text) => (JSON.parse(text) as { value: T }).value);
  };
  return Array.from({ length: world }, (_, rank): Cluster => {
    const gathered = <T>(value: T) => gather(rank, value);
    const largest = async (value: number) => Math.max(...(await gathered(value)));
    return {
      ...alone,
      rank,
      world,
      localRank: rank,
      localWorld: world,
      gather: gathered,
      largest,
      sum: async (values) => {
        const all = await gathered(values);
        return values.map((_, i) => all.reduce((sum, each) => sum + (each[i] ?? 0), 0));
      },
      agree: async (said) => (await largest(said ? 1 : 0)) > 0,
      barrier: async () => {
        await gathered(0);
      },
    };
  });
}

/** Does the work of all ranks. */
export function together<T>(world: number, work: (cluster: Cluster) => Promise<T>): Promise<T[]> {
  return Promise.all(ranksInProcess(world).map(work));
}
