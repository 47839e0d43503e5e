import { DdscError } from "../../base/errors.js";
import { isHidden } from "./addresses.js";
import { type Place, webPlace } from "./http_place.js";
import { type ProgressWatch, Transient } from "./http_request.js";
import { allHttpOptions, busyError, type HttpOptions, repeat, watched } from "./http_tries.js";
import { checkRange, closedError, type FileIdentity, type RandomAccess } from "./random_access.js";
import { isS3 } from "./s3/address.js";

/** Read with the first answer: what tells formats apart. */
const HEAD_BYTES = 8;

/**
 * A file behind an http(s) address, or an object of S3, read by range requests. A dropped connection, an answer that comes too slowly, that is
 * busy (408, 425, 429, 5xx) or shorter than promised is tried again after a while; nothing else is. An answer must be exactly
 * the range asked for (206 with its Content-Range) of the file that was opened (same length, ETag and date). A few redirects are
 * followed; `notes` says to which other hosts. `name` has neither password nor signature of the address.
 */
export class HttpFile implements RandomAccess {
  readonly name: string;
  readonly size: number;
  readonly identity: FileIdentity;
  readonly remote = true;
  /** What a reader should know: hosts that redirects led to. */
  readonly notes: readonly string[];
  readonly #place: Place;
  /** The file's first bytes. */
  readonly #head: Uint8Array;
  readonly #options: Required<HttpOptions>;
  #closed = false;

  private constructor(
    place: Place,
    identity: FileIdentity,
    head: Uint8Array,
    options: Required<HttpOptions>,
  ) {
    this.name = place.name;
    this.notes = Array.from(
      place.hosts,
      (host) => `the address leads to ${host}, where the data are read from`,
    );
    this.#place = place;
    this.size = identity.size;
    this.identity = identity;
    this.#head = head;
    this.#options = options;
  }

  /** What tells this version of the file from later ones; undefined where the server says nothing that does. */
  get version(): string | undefined {
    const { etag, modified, size } = this.identity;
    const { service = "" } = this.#place;
    return etag === null && modified === null ? undefined : JSON.stringify([service, size, etag, modified]);
  }

  /** Bytes at its beginning that are given without a request. */
  get atHand(): number {
    return this.#head.length;
  }

  /**
   * Asks for the first bytes, which tells the length. Throws `DATA_NOT_FOUND` (404, 410), `DATA_ACCESS_DENIED` (401, 403),
   * `DATA_UNREADABLE` (other refusals, redirects that are not followed, no connection), `DATA_NO_RANGES` where the server
   * does not answer ranges.
   */
  static async open(url: string, options: HttpOptions = {}): Promise<HttpFile> {
    const all = allHttpOptions(options);
    const place = isS3(url) ? (await import("./s3/place.js")).s3Place(url) : webPlace(url);
    const { identity, head } = await repeat(place.name, all, undefined, async () => {
      const answer = await request(place, 0, HEAD_BYTES, undefined, all, undefined);
      const { status, total, body } = answer;
      // An empty file has no first byte.
      const isEmpty = status === 416 && total === 0;
      const found = isEmpty ? { size: 0, etag: null, modified: null } : identityOf(place.name, answer);
      return { identity: found, head: body };
    });
    return new HttpFile(place, identity, head, all);
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this.name, this.size, offset, length);
    if (this.#closed) throw closedError(this.name);
    if (length === 0) return new Uint8Array(0);
    if (offset + length <= this.#head.length) return this.#head.slice(offset, offset + length);
    return repeat(this.name, this.#options, signal, async () => {
      const answer = await request(this.#place, offset, length, this.identity, this.#options, signal);
      return answer.body;
    });
  }

  close(): void {
    this.#closed = true;
  }
}

interface Answer {
  readonly status: number;
  readonly total: number | undefined;
  readonly etag: string | null;
  readonly modified: string | null;
  readonly body: Uint8Array;
}

/** One range request, its answer checked and read whole. */
function request(
  place: Place,
  offset: number,
  length: number,
  identity: FileIdentity | undefined,
  options: Required<HttpOptions>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { name } = place;
  const headers = {
    range: `bytes=${offset}-${offset + length - 1}`,
    // A compressed answer would have other bytes at other places.
    "accept-encoding": "identity",
  };
  return watched(name, options, signal, async (stop, clock) => {
    const response = await place.ask(headers, stop);
    clock.begin();
    const range = contentRange(response.headers.get("content-range"));
    const etag = response.headers.get("etag");
    const modified = response.headers.get("last-modified");
    if (response.status === 416 && identity === undefined) {
      await response.body?.cancel();
      return { status: 416, total: range?.total, etag, modified, body: new Uint8Array(0) };
    }
    if (response.status !== 206) throw (await place.refusal(response)) ?? refused(name, response, identity);
    const total = checkAnswer(name, range, offset, length, identity);
    if (identity !== undefined) checkSame(name, { size: total ?? identity.size, etag, modified }, identity);
    const expected = total === undefined ? length : Math.min(length, total - offset);
    const body = await readBody(response, expected, clock);
    return { status: 206, total, etag, modified, body };
  });
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
  identity: FileIdentity | undefined,
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

function identityOf(url: string, answer: Answer): FileIdentity {
  if (answer.total === undefined || !Number.isSafeInteger(answer.total)) {
    throw new DdscError(
      "DATA_NO_RANGES",
      `${url}: the server does not say how long the file is; download the file first`,
      { file: url },
    );
  }
  return { size: answer.total, etag: answer.etag, modified: answer.modified };
}

function checkSame(url: string, now: FileIdentity, before: FileIdentity): void {
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
function refused(url: string, response: Response, identity: FileIdentity | undefined): Error {
  const busy = busyError(response);
  if (busy !== undefined) return busy;
  const { status } = response;
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
  if (status === 401 || status === 403) {
    const remedy = isHidden(url)
      ? "its signature, token or password may have expired or be another's: get a new one"
      : "check the address and whether it may be read without signing in";
    return new DdscError("DATA_ACCESS_DENIED", `${url}: the server answered ${status}; ${remedy}`, place);
  }
  return new DdscError("DATA_UNREADABLE", `${url}: the server answered ${status}; check the address`, place);
}
