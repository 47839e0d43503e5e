import { setTimeout as wait } from "node:timers/promises";
import { DdscError } from "../../base/errors.js";
import { connectionError, ProgressWatch, Transient } from "./http_request.js";

/** How an address is read. */
export interface HttpOptions {
  /** Tries of one range in all; default 6. */
  readonly tries?: number;
  /** Pause before the second try, doubled before each further one and varied by up to a half; default 250 ms, at most 10 s. */
  readonly pauseMs?: number;
  /** Within so long `leastBytes` have to come, or the rest of an answer; default 30 s. */
  readonly timeoutMs?: number;
  /** See `timeoutMs`; default 16,384. */
  readonly leastBytes?: number;
}

const LONGEST_PAUSE = 10_000;
/** A server that asks for a longer pause than this is not waited for. */
const LONGEST_WAIT = 120_000;
const TRANSIENT_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** The options with their defaults. */
export function allHttpOptions(options: HttpOptions): Required<HttpOptions> {
  const { tries = 6, pauseMs = 250, timeoutMs = 30_000, leastBytes = 16_384 } = options;
  return { tries, pauseMs, timeoutMs, leastBytes };
}

/** Tries until an answer comes, pausing in between. Throws `DATA_UNREADABLE` after the last one. */
export async function repeat<T>(
  url: string,
  options: Required<HttpOptions>,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Transient)) throw error;
      if (tried >= options.tries || (error.retryAfter ?? 0) > LONGEST_WAIT) {
        throw new DdscError(
          "DATA_UNREADABLE",
          `${url}: cannot be read after ${tried} ${tried === 1 ? "try" : "tries"}: ${error.message}; check the address and the connection, then run again`,
          { file: url },
          { cause: error },
        );
      }
      const pause = options.pauseMs * 2 ** (tried - 1) * (1 + Math.random() / 2);
      const milliseconds = Math.max(Math.min(pause, LONGEST_PAUSE), error.retryAfter ?? 0);
      await wait(milliseconds, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** One try, which ends where bytes stop coming: `work` tells the clock of those that come. Throws `Transient` where they do not. */
export async function watched<T>(
  name: string,
  options: Required<HttpOptions>,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal, clock: ProgressWatch) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const cancel = (): void => stop.abort();
  signal?.addEventListener("abort", cancel, { once: true });
  const clock = new ProgressWatch(options.leastBytes, options.timeoutMs, cancel);
  try {
    return await work(stop.signal, clock);
  } catch (error) {
    if (error instanceof DdscError || error instanceof Transient) throw error;
    if (!clock.fired) throw connectionError(name, error);
    const slow = `fewer than ${options.leastBytes} bytes within ${options.timeoutMs / 1000} s`;
    throw new Transient(slow, undefined, { cause: error });
  } finally {
    clock.stop();
    signal?.removeEventListener("abort", cancel);
  }
}

/** The error for a server that is busy, and may answer later; undefined for an answer that is not of that kind. */
export function busyError({ status, headers }: Response): Transient | undefined {
  if (!TRANSIENT_STATUS.has(status)) return undefined;
  const pause = pauseAsked(headers.get("retry-after"));
  const asked =
    pause === undefined || pause <= LONGEST_WAIT ? "" : ` and asks to wait ${Math.ceil(pause / 1000)} s`;
  return new Transient(`the server answered ${status}${asked}`, pause);
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
function pauseAsked(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const milliseconds = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return milliseconds >= 0 ? milliseconds : undefined;
}
