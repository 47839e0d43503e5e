import { createHash } from "node:crypto";
import { DdscError } from "../../base/errors.js";
import { type PostedError, packError, unpackError } from "../../base/posted_error.js";
import { mapFewAtOnce } from "../io/few_at_once.js";

/** The processes that open the same cells together: what `joinCluster` gives. Each makes the same calls. */
export interface Peers {
  readonly rank: number;
  readonly world: number;
  gather<T>(value: T): Promise<readonly T[]>;
}

/** One process. */
export const noPeers: Peers = { rank: 0, world: 1, gather: async (value) => [value] };

/** Files that a rank looks at before it tells the others. */
const ROUND = 4096;

/** What a rank tells of its files. */
type Words<R> = { readonly files: string } & (
  | { readonly results: readonly R[] }
  | { readonly error: PostedError }
);

/**
 * Has every rank do its share of the work on files, a few at the same time, and tell the others: gives, some files at a time, what each
 * rank found in the order of ranks, which is that of the files. Throws on every rank what the first file in order threw that failed;
 * `CLUSTER_MISMATCH` where ranks see other files.
 *
 * @param work whose results JSON carries
 */
export async function* shareOut<R>(
  paths: readonly string[],
  work: (path: string, file: number) => Promise<R>,
  peers: Peers,
  atOnce?: number,
): AsyncGenerator<readonly (readonly R[])[], void, undefined> {
  const { rank, world } = peers;
  const files = world === 1 ? "" : digestOf(paths);
  for (let first = 0; first === 0 || first < paths.length; first += world * ROUND) {
    const count = Math.min(world * ROUND, paths.length - first);
    const [start, end] = [rank, rank + 1].map((each) => first + Math.floor((count * each) / world));
    let failure: unknown;
    let words: Words<R>;
    try {
      const own = Array.from(paths.slice(start, end).entries());
      const results = await mapFewAtOnce(own, ([i, path]) => work(path, (start ?? 0) + i), atOnce);
      words = { files, results };
    } catch (error) {
      failure = error;
      words = { files, error: packError(error) };
    }
    if (world === 1 && failure !== undefined) throw failure;
    const told = await peers.gather(words);
    const other = told.findIndex((each) => each.files !== told[0]?.files);
    if (other >= 0) {
      throw new DdscError(
        "CLUSTER_MISMATCH",
        `rank ${other} finds other files than rank 0: give all ranks the same ones, and leave them alone`,
      );
    }
    yield told.map((each, number) => {
      if ("results" in each) return each.results;
      // The own error has its own stack.
      throw number === rank ? failure : unpackError(each.error);
    });
  }
}

function digestOf(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(`${path}\n`);
  return hash.digest("base64");
}
