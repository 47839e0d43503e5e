import { createHash } from "node:crypto";
import { DdscError, wrongType } from "../../base/errors.js";
import { type PostedError, packError, unpackError } from "../../base/posted_error.js";
import { mapFewAtOnce } from "../io/few_at_once.js";

/** The processes that open the same cells together: what `joinCluster` gives. Each makes the same calls. */
export interface Peers {
  readonly rank: number;
  readonly world: number;
  /** What each rank gave, as JSON carries it, in the order of ranks. */
  gather<T>(value: T): Promise<readonly T[]>;
}

/** One process. */
export const noPeers: Peers = { rank: 0, world: 1, gather: async (value) => [value] };

/** Numbers as JSON carries them whole. */
export function packArray({
  buffer,
  byteOffset,
  byteLength,
}: Int32Array | Float32Array | Float64Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** The bytes of `packArray`. */
export function unpackArray(text: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(text, "base64")).buffer;
}

/** Files that a rank looks at before it tells the others. */
const ROUND = 4096;

/** What the work of each rank gave, as JSON carries it, in the order of ranks. Throws on every rank what the first one threw that failed. */
export async function workOfAll<R>(peers: Peers, work: () => Promise<R>): Promise<readonly R[]> {
  if (peers.world === 1) return [await work()];
  let failure: unknown;
  let words: { readonly result: R } | { readonly error: PostedError };
  try {
    words = { result: await work() };
  } catch (error) {
    failure = error;
    words = { error: packError(error) };
  }
  const told = await peers.gather(words);
  return told.map((each, rank) => {
    if ("result" in each) return each.result;
    // The own error has its own stack.
    throw rank === peers.rank ? failure : unpackError(each.error);
  });
}

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
  await requireSameFiles(paths, peers);
  yield* shareOutItems(paths, work, peers, { round: ROUND, atOnce });
}

/** As `shareOut`, of anything that all ranks have in the same order, so many (`round`) a rank at a time. */
export async function* shareOutItems<T, R>(
  items: readonly T[],
  work: (item: T, place: number) => Promise<R>,
  peers: Peers,
  { round, atOnce }: { readonly round: number; readonly atOnce?: number | undefined },
): AsyncGenerator<readonly (readonly R[])[], void, undefined> {
  const { rank, world } = peers;
  for (let first = 0; first < items.length; first += world * round) {
    const count = Math.min(world * round, items.length - first);
    const start = first + Math.floor((count * rank) / world);
    const end = first + Math.floor((count * (rank + 1)) / world);
    const own = Array.from(items.slice(start, end).entries());
    yield await workOfAll(peers, () => mapFewAtOnce(own, ([i, item]) => work(item, start + i), atOnce));
  }
}

/** Throws `ARGUMENT_TYPE` for something else than peers; undefined is one process. */
export function checkPeers(peers: Peers | undefined): Peers {
  if (peers === undefined) return noPeers;
  if (typeof peers?.gather === "function") return peers;
  throw wrongType("peers", peers, "processes that work together, such as await joinCluster(),");
}

async function requireSameFiles(paths: readonly string[], peers: Peers): Promise<void> {
  if (peers.world === 1) return;
  const hash = createHash("sha256");
  for (const path of paths) hash.update(`${path}\n`);
  const told = await peers.gather(hash.digest("base64"));
  const other = told.findIndex((each) => each !== told[0]);
  if (other < 0) return;
  throw new DdscError(
    "CLUSTER_MISMATCH",
    `rank ${other} finds other files than rank 0: give all ranks the same ones, and leave them alone`,
  );
}
