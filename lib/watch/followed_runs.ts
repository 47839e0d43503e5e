import { setTimeout } from "node:timers/promises";
import { findRuns } from "./find_runs.js";
import { FollowedRun } from "./followed_run.js";
import type { WatchEvent } from "./messages.js";

/** Milliseconds between two looks at the runs, and between two searches for new ones. */
const LOOK_EVERY = 500;
const SEARCH_EVERY = 2000;

/** Follows all runs in some folders for as long as anybody listens. */
export class FollowedRuns {
  readonly #paths: readonly string[];
  readonly #tell: (event: WatchEvent) => void;
  #runs = new Map<string, FollowedRun>();
  #notice = "";
  #searchedAt = Number.NEGATIVE_INFINITY;
  #listening = false;
  #looking: Promise<void> | undefined;

  /** @param tell is given what changes */
  constructor(paths: readonly string[], tell: (event: WatchEvent) => void) {
    this.#paths = paths;
    this.#tell = tell;
  }

  /** Whether anybody listens: without a listener no file is read. */
  listen(listening: boolean): void {
    this.#listening = listening;
    if (listening) this.#looking ??= this.#look();
  }

  /** All that there is, as it was read last. */
  snapshot(): WatchEvent[] {
    const events = [...this.#runs.values()].flatMap((run) => run.snapshot());
    return [...events, { name: "notice", data: { text: this.#notice } }];
  }

  async #look(): Promise<void> {
    while (this.#listening) {
      await this.#search();
      for (const run of [...this.#runs.values()]) {
        if (!this.#listening) break;
        for (const event of await run.poll()) this.#tell(event);
      }
      // Keeps no process alive.
      await setTimeout(LOOK_EVERY, undefined, { ref: false });
    }
    this.#looking = undefined;
  }

  async #search(): Promise<void> {
    if (performance.now() - this.#searchedAt < SEARCH_EVERY) return;
    this.#searchedAt = performance.now();
    const { runs, more } = await findRuns(this.#paths);
    const before = this.#runs;
    this.#runs = new Map(runs.map((folder) => [folder, before.get(folder) ?? new FollowedRun(folder)]));
    for (const [folder, { id }] of before) {
      if (!this.#runs.has(folder)) this.#tell({ name: "gone", data: { id } });
    }
    const notice = noticeOf(runs.length, more);
    if (notice === this.#notice) return;
    this.#notice = notice;
    this.#tell({ name: "notice", data: { text: notice } });
  }
}

function noticeOf(runs: number, more: boolean): string {
  if (more) return `There are more runs than the ${runs} that are shown; name fewer folders.`;
  return runs === 0 ? "There is no run yet; one that begins will appear here." : "";
}
