import { DdscError } from "../../base/errors.js";
import { type PostedError, packError, unpackError } from "../../base/posted_error.js";
import { countValid } from "../../batching/collate.js";
import type { BatchLoader, LoadedBatch } from "../../batching/index.js";
import type { Cluster } from "../../cluster/cluster.js";
import { addReport, emptyReport, type TokenizerReport } from "../../tokenizer/index.js";
import { NO_OTHERS, type OtherCells } from "./share.js";

/** A rank's share of a batch. */
export interface SharedBatch {
  /** The rank's own cells; what the tokenizer left out is that of all ranks. */
  readonly loaded: LoadedBatch;
  readonly others: OtherCells;
}

/** What a rank tells the others of its share of a batch. */
interface ShareWords {
  readonly epoch: number;
  /** Where the batch after it is: the same on all ranks. */
  readonly next: LoadedBatch["next"];
  readonly cells: number;
  readonly validTokens: number;
  readonly report: TokenizerReport;
}

/** What a rank tells of several batches, or why it has none. */
type RankWords = { readonly batches: readonly ShareWords[] } | { readonly error: PostedError };

/**
 * The batches of a loader, of which in a cluster each rank has the share that it computes: tells the others how many of its cells can
 * be used, and how many tokens these have, for by these losses are divided, and noise is spread over all cells of a step. Ranks make
 * the same calls between the same steps: what is exchanged takes its turn among all else that ranks tell one another.
 *
 * A batch of which no rank has a cell is passed over; an error of one rank's data is the same error on all.
 */
export class SharedBatches {
  readonly #loader: Pick<BatchLoader, "next" | "close">;
  readonly #cluster: Cluster;
  readonly #noCells: () => DdscError;
  /** Own shares that were asked for. */
  readonly #asked: Promise<LoadedBatch>[] = [];
  /** Usable cells of the epoch so far; one that was joined midway is taken to have some. */
  #usable = 1;
  /** What was left out since the batch before. */
  #report = emptyReport();
  #turn: Promise<unknown> = Promise.resolve();

  /** @param noCells the error for an epoch without a cell that can be used */
  constructor(
    loader: Pick<BatchLoader, "next" | "close">,
    cluster: Cluster,
    noCells: () => DdscError = noMore,
  ) {
    this.#loader = loader;
    this.#cluster = cluster;
    this.#noCells = noCells;
  }

  /**
   * The next batches. Calls may overlap; they are answered in order. Throws the errors of the loader, `LOADER_FAILED` where it
   * ends, `CLUSTER_MISMATCH` where ranks read different data.
   *
   * @param ahead how many more to have the loader make for the next call; in a cluster only: there a call waits for all ranks
   */
  async take(count: number, ahead = 0): Promise<readonly SharedBatch[]> {
    if (this.#cluster.world === 1) {
      // The loader answers in order, also what is asked for at once.
      const loaded = await all(Array.from({ length: count }, () => this.#next()));
      return loaded.map((batch) => ({ loaded: batch, others: NO_OTHERS }));
    }
    this.#ask(count + ahead);
    const taken = this.#turn.then(() => this.#takeShared(count, ahead));
    this.#turn = taken.catch(() => undefined);
    return taken;
  }

  /** Resolves when no call is under way: before a rank may tell the others something else. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  /** Closes the loader, and waits until nothing is read any more. */
  async close(): Promise<void> {
    await this.#loader.close();
    await Promise.allSettled(this.#asked);
  }

  async #takeShared(count: number, ahead: number): Promise<SharedBatch[]> {
    const taken: SharedBatch[] = [];
    while (taken.length < count) {
      this.#ask(count - taken.length);
      const own = await this.#exchange(this.#asked.splice(0, count - taken.length));
      for (const each of own) {
        const { loaded, others } = each;
        addReport(this.#report, loaded.report);
        const cells = loaded.batch.cells.length + others.cells;
        this.#usable += cells;
        if (cells > 0) {
          taken.push({ others, loaded: { ...loaded, report: this.#report } });
          this.#report = emptyReport();
        }
        if (loaded.next.epoch === loaded.epoch) continue;
        if (this.#usable === 0) throw this.#noCells();
        this.#usable = 0;
      }
    }
    this.#ask(ahead);
    return taken;
  }

  /** Own shares of some batches, with what the others have of them. */
  async #exchange(asked: readonly Promise<LoadedBatch>[]): Promise<SharedBatch[]> {
    let own: readonly LoadedBatch[] = [];
    let failure: unknown;
    let words: RankWords;
    try {
      own = await all(asked);
      words = { batches: own.map(wordsOf) };
    } catch (error) {
      failure = error;
      words = { error: packError(error) };
    }
    const told = await this.#cluster.gather(words);
    // Each rank's own error has its own stack; without one, that of the first rank that has one.
    if (failure !== undefined) throw failure;
    const ranks = told.map((each) => {
      if ("error" in each) throw unpackError(each.error);
      return each.batches;
    });
    return own.map((loaded, i) =>
      withOthers(
        loaded,
        this.#cluster.rank,
        ranks.map((each) => each[i]),
      ),
    );
  }

  #ask(count: number): void {
    while (this.#asked.length < count) {
      const batch = this.#next();
      batch.catch(() => undefined); // thrown in its turn
      this.#asked.push(batch);
    }
  }

  async #next(): Promise<LoadedBatch> {
    const { value } = await this.#loader.next();
    if (value === undefined) throw noMore();
    return value;
  }
}

/** What all give, once all are settled: nothing is read any more where one failed. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function wordsOf({ batch, epoch, next, report }: LoadedBatch): ShareWords {
  return { epoch, next, cells: batch.cells.length, validTokens: countValid(batch.tokens), report };
}

/** Adds up what ranks told of a batch. Throws `CLUSTER_MISMATCH` where they do not speak of the same one. */
function withOthers(
  loaded: LoadedBatch,
  rank: number,
  told: readonly (ShareWords | undefined)[],
): SharedBatch {
  const report = emptyReport();
  const others = { cells: 0, before: 0, validTokens: 0 };
  for (const [number, words] of told.entries()) {
    const { next } = loaded;
    const isSame =
      words !== undefined &&
      words.epoch === loaded.epoch &&
      words.next.epoch === next.epoch &&
      words.next.window === next.window &&
      words.next.batch === next.batch;
    if (!isSame) {
      throw new DdscError(
        "CLUSTER_MISMATCH",
        `rank ${number} cuts its data into other batches than rank ${rank}: give all ranks the same files and options`,
      );
    }
    addReport(report, words.report);
    if (number === rank) continue;
    others.cells += words.cells;
    others.validTokens += words.validTokens;
    if (number < rank) others.before += words.cells;
  }
  return { loaded: { ...loaded, report }, others };
}

function noMore(): DdscError {
  return new DdscError("LOADER_FAILED", "the loader ended by itself; begin again");
}
