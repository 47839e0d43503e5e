import { createHash } from "node:crypto";
import { changedError, type FilePool } from "../files/file_pool.js";
import { OutlineCollector, type Outlines, type SourceTraits } from "../files/outlines.js";
import { isUrl } from "../io/content.js";
import { atOnceOf } from "../io/few_at_once.js";
import type { FileIdentity } from "../io/random_access.js";
import type { Gene } from "../sources/cells.js";
import { CountFindings } from "../sources/checked_counts.js";
import type { FileSource } from "../sources/file_source.js";
import type { MachineFile } from "./machine_file.js";
import { type Peers, shareOut } from "./share_out.js";

/** What the rank that opens a file tells the others of it. */
interface FileWords {
  /** Key of its traits. */
  readonly traits: string;
  /** Ends of its parts, in its rows. */
  readonly ends: readonly number[];
  readonly identity: FileIdentity | undefined;
  readonly notes: readonly string[];
}

/**
 * Opens every file of a pool once, of several ranks each its share, for what has to be known of them while they are closed. Throws what the first file
 * in order does that cannot be opened, `DATA_CHANGED` for one that ranks find different.
 *
 * @param machine where the ranks of a machine are to hold rows, parts and versions together: those that do not write them there have the traits,
 *   and the versions of their own share
 */
export async function outlineFiles(
  pool: FilePool,
  paths: readonly string[],
  peers: Peers,
  machine?: MachineFile,
): Promise<Outlines> {
  const isKept = machine?.isWriter ?? true;
  const collector = new OutlineCollector(isKept);
  const own = new Map<string, SourceTraits>();
  const work = (_: string, file: number) =>
    pool.use(file, async (source) => {
      const key = keyOf(source);
      if (!own.has(key)) own.set(key, plain(source));
      return wordsOf(source, key);
    });
  let file = 0;
  for await (const told of shareOut(paths, work, peers, atOnceOf(paths))) {
    await exchangeTraits(told, own, collector, peers);
    for (const [rank, words] of told.entries()) {
      for (const { traits, ends, identity, notes } of words) {
        collector.add(traits, ends);
        if (rank !== peers.rank) {
          if (isKept && identity !== undefined) {
            // A file on a disk may be a copy on each machine, of another date.
            const isHere = isUrl(pool.nameOf(file)) || machine?.hasRank(rank) === true;
            if (!pool.isSame(file, isHere ? identity : { ...identity, modified: null }))
              throw changedError(pool.nameOf(file));
          }
          pool.note(file, notes, new CountFindings());
        }
        file++;
      }
    }
  }
  return collector.outlines();
}

/** Has the collector know the traits that ranks told of; those that not every rank has come from the first that does. */
async function exchangeTraits(
  told: readonly (readonly FileWords[])[],
  own: ReadonlyMap<string, SourceTraits>,
  collector: OutlineCollector,
  peers: Peers,
): Promise<void> {
  const holders = new Map<string, Set<number>>();
  for (const [rank, words] of told.entries()) {
    for (const { traits } of words)
      if (!collector.knows(traits)) holders.set(traits, (holders.get(traits) ?? new Set()).add(rank));
  }
  const wanted = [...holders].filter(([, ranks]) => ranks.size < peers.world);
  const given = wanted.flatMap(([key, ranks]) => {
    const traits = own.get(key);
    return traits !== undefined && Math.min(...ranks) === peers.rank ? [[key, traits] as const] : [];
  });
  const known = wanted.length === 0 ? new Map() : new Map((await peers.gather(given)).flat());
  for (const key of holders.keys()) {
    const traits = own.get(key) ?? known.get(key);
    if (traits !== undefined) collector.addTraits(key, traits);
  }
}

function wordsOf(source: FileSource, traits: string): FileWords {
  const { partBounds, notes, identity } = source;
  return { traits, ends: [...partBounds.subarray(1)], identity, notes };
}

function plain({ genes, metadataColumns, contents }: SourceTraits): SourceTraits {
  return { genes, metadataColumns, contents };
}

/** Hashes of lists of genes: the files of a data set share one list, most often. */
const geneHashes = new WeakMap<readonly Gene[], string>();

/** Equal for files with equal traits, and in every process. */
function keyOf({ genes, metadataColumns, contents }: FileSource): string {
  const hash = geneHashes.get(genes) ?? hashOf(genes);
  geneHashes.set(genes, hash);
  return hashOf([hash, metadataColumns, contents]);
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64");
}
