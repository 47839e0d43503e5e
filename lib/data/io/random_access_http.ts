import { setTimeout as wait } from "node:timers/promises";
import { DdscError } from "../../base/errors.js";
import { fullAddress, isHidden, publicAddress } from "./addresses.js";
import { ask, connectionError, ProgressWatch, Transient } from "./http_request.js";
import { checkRange, closedError, type RandomAccess } from "./random_access.js";

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

/** What is known of the file after the first answer. */
interface Identity {
  readonly size: number;
  readonly etag: string | null;
  readonly modified: string | null;
}

const LONGEST_PAUSE = 10_000;
/** A server that asks for a longer pause than this is not waited for. */
const LONGEST_WAIT = 120_000;
const TRANSIENT_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * A file behind an http(s) address, read by range requests. A dropped connection, an answer that comes too slowly, that is
 * busy (408, 425, 429, 5xx) or shorter than promised is tried again after a while; nothing else is. An answer must be exactly
 * the range asked for (206 with its Content-Range) of the file that was opened (same length, ETag and date). A few redirects are
 * followed; `notes` says to which other hosts. `name` has neither password nor signature of the address.
 */
export class HttpFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly remote = true;
  /** What a reader should know: hosts that redirects led to. */
  readonly notes: readonly string[];
  readonly #place: Place;
  readonly #identity: Identity;
  readonly #options: Required<HttpOptions>;
  #closed = false;

  private constructor(place: Place, identity: Identity, options: Required<HttpOptions>) {
    this.name = place.name;
    this.notes = Array.from(
      place.hosts,
      (host) => `the address leads to ${host}, where the data are read from`,
    );
    this.#place = place;
    this.size = identity.size;
    this.#identity = identity;
    this.#options = options;
  }

  /**
   * Asks for the first byte, which tells the length. Throws `DATA_NOT_FOUND` (404, 410), `DATA_UNREADABLE` (403, other
   * refusals, redirects that are not followed, no connection), `DATA_NO_RANGES` where the server does not answer ranges.
   */
  static async open(url: string, options: HttpOptions = {}): Promise<HttpFile> {
    const { tries = 6, pauseMs = 250, timeoutMs = 30_000, leastBytes = 16_384 } = options;
    const all = { tries, pauseMs, timeoutMs, leastBytes };
    const name = publicAddress(url);
    const place: Place = { name, address: fullAddress(name), hosts: new Set() };
    if (isHidden(place.address)) throw hiddenError(name);
    const identity = await repeat(name, all, undefined, async () => {
      const answer = await request(place, 0, 1, undefined, all, undefined);
      // An empty file has no first byte.
      if (answer.status === 416 && answer.total === 0) return { size: 0, etag: null, modified: null };
      return identityOf(name, answer);
    });
    return new HttpFile(place, identity, all);
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this.name, this.size, offset, length);
    if (this.#closed) throw closedError(this.name);
    if (length === 0) return new Uint8Array(0);
    return repeat(this.name, this.#options, signal, async () => {
      const answer = await request(this.#place, offset, length, this.#identity, this.#options, signal);
      return answer.body;
    });
  }

  close(): void {
    this.#closed = true;
  }
}

/** Where a file is. */
interface Place {
  /** For messages. */
  readonly name: string;
  /** In full. */
  readonly address: string;
  /** Other hosts that redirects have led to. */
  readonly hosts: Set<string>;
}

interface Answer {
  readonly status: number;
  readonly total: number | undefined;
  readonly etag: string | null;
  readonly modified: string | null;
  readonly body: Uint8Array;
}

/** Tries until an answer comes, pausing in between. */
async function repeat<T>(
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

/** One range request, its answer checked and read whole. */
async function request(
  { name: url, address, hosts }: Place,
  offset: number,
  length: number,
  identity: Identity | undefined,
  options: Required<HttpOptions>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const stop = new AbortController();
  const cancel = (): void => stop.abort();
  signal?.addEventListener("abort", cancel, { once: true });
  const clock = new ProgressWatch(options.leastBytes, options.timeoutMs, cancel);
  try {
    const headers: Record<string, string> = {
      range: `bytes=${offset}-${offset + length - 1}`,
      // A compressed answer would have other bytes at other places.
      "accept-encoding": "identity",
    };
    const response = await ask({
      address,
      name: url,
      headers,
      signal: stop.signal,
      onOtherHost: (host) => hosts.add(host),
    });
    clock.begin();
    const range = contentRange(response.headers.get("content-range"));
    const etag = response.headers.get("etag");
    const modified = response.headers.get("last-modified");
    if (response.status !== 206) {
      await response.body?.cancel();
      if (response.status === 416 && identity === undefined)
        return { status: 416, total: range?.total, etag, modified, body: new Uint8Array(0) };
      throw refused(url, response.status, response.headers.get("retry-after"), identity);
    }
    const total = checkAnswer(url, range, offset, length, identity);
    if (identity !== undefined) checkSame(url, { size: total ?? identity.size, etag, modified }, identity);
    const expected = total === undefined ? length : Math.min(length, total - offset);
    const body = await readBody(response, expected, clock);
    return { status: 206, total, etag, modified, body };
  } catch (error) {
    if (error instanceof DdscError || error instanceof Transient) throw error;
    if (!clock.fired) throw connectionError(url, error);
    const slow = `fewer than ${options.leastBytes} bytes within ${options.timeoutMs / 1000} s`;
    throw new Transient(slow, undefined, { cause: error });
  } finally {
    clock.stop();
    signal?.removeEventListener("abort", cancel);
  }
}

/** Reads exactly `length` bytes; a shorter or longer body is a failed try. */
async function readBody(response: Response, length: number, clock: ProgressWatch): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  if (response.body === null) throw new Transient("the answer has no body");
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    clock.receive(chunk.length);
    if (chunk.length > length - done) throw new Transient("the answer is longer than its range");
    bytes.set(chunk, done);
    done += chunk.length;
  }
  if (done < length) throw new Transient(`the answer ended after ${done} of ${length} bytes`);
  return bytes;
}

/** "bytes 0-99/1234" in numbers; undefined where it says something else. */
function contentRange(
  header: string | null,
): { first: number; last: number; total: number | undefined } | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header ?? "");
  if (match === null) return undefined;
  const [, first, last, total] = match;
  return {
    first: Number(first ?? -1),
    last: Number(last ?? -1),
    total: total === undefined || total === "*" ? undefined : Number(total),
  };
}

/** Checks that the range answered is the one asked for; returns the length of the whole file if the server says it. */
function checkAnswer(
  url: string,
  range: ReturnType<typeof contentRange>,
  offset: number,
  length: number,
  identity: Identity | undefined,
): number | undefined {
  const end = range?.total === undefined ? offset + length : Math.min(offset + length, range.total);
  if (range !== undefined && range.first === offset && range.last === end - 1) return range.total;
  const got = range === undefined ? "no range it can be checked by" : `bytes ${range.first} to ${range.last}`;
  const asked = `bytes ${offset} to ${offset + length - 1}`;
  // The first answer decides whether the server knows ranges at all; a wrong one later may come from a broken cache.
  if (identity !== undefined) throw new Transient(`asked for ${asked}, the answer holds ${got}`);
  throw new DdscError(
    "DATA_NO_RANGES",
    `${url}: asked for ${asked}, the answer holds ${got}; the server does not answer ranges correctly: download the file first`,
    { file: url },
  );
}

function identityOf(url: string, answer: Answer): Identity {
  if (answer.total === undefined || !Number.isSafeInteger(answer.total)) {
    throw new DdscError(
      "DATA_NO_RANGES",
      `${url}: the server does not say how long the file is; download the file first`,
      { file: url },
    );
  }
  return { size: answer.total, etag: answer.etag, modified: answer.modified };
}

function checkSame(url: string, now: Identity, before: Identity): void {
  const same =
    now.size === before.size &&
    (now.etag === null || before.etag === null || now.etag === before.etag) &&
    (now.modified === null || before.modified === null || now.modified === before.modified);
  if (same) return;
  throw new DdscError(
    "DATA_CHANGED",
    `${url}: the file was changed on the server while it was read; open it again`,
    {
      file: url,
    },
  );
}

/** The error for an answer that is no range. */
function refused(
  url: string,
  status: number,
  retryAfter: string | null,
  identity: Identity | undefined,
): Error {
  if (TRANSIENT_STATUS.has(status)) {
    const pause = pauseAsked(retryAfter);
    const asked =
      pause === undefined || pause <= LONGEST_WAIT ? "" : ` and asks to wait ${Math.ceil(pause / 1000)} s`;
    return new Transient(`the server answered ${status}${asked}`, pause);
  }
  const place = { file: url };
  if (status === 404 || status === 410)
    return new DdscError("DATA_NOT_FOUND", `${url}: the server answered ${status}; check the address`, place);
  if (status === 416 && identity !== undefined)
    return new DdscError(
      "DATA_CHANGED",
      `${url}: the file became shorter while it was read; open it again`,
      place,
    );
  if (status === 200) {
    return new DdscError(
      "DATA_NO_RANGES",
      `${url}: the server sends the whole file where a part was asked for; download the file first`,
      place,
    );
  }
  return new DdscError(
    "DATA_UNREADABLE",
    `${url}: the server answered ${status}; check the address and whether it may be read without signing in`,
    place,
  );
}

/** Milliseconds of a Retry-After header: seconds, or a date. */
function pauseAsked(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const milliseconds = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return milliseconds >= 0 ? milliseconds : undefined;
}

/** The error for an address out of a record. */
function hiddenError(name: string): DdscError {
  return new DdscError(
    "DATA_UNREADABLE",
    `${name}: password, signature or token of this address are not recorded; give the address in full`,
    { file: name },
  );
}
