import { DdscError } from "../../base/errors.js";

/** Redirects that are followed one after another. */
const MOST_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** A try that failed and may be repeated. */
export class Transient extends Error {
  /** Pause the server asked for, ms. */
  readonly retryAfter: number | undefined;
  constructor(message: string, retryAfter?: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = retryAfter;
  }
}

/** What failed on the way and may go well the next time; a name that is not known and a certificate that does not fit will not. */
const PASSING = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** Asks for an address. */
export interface HttpRequest {
  /** In full. */
  readonly address: string;
  /** For messages. */
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Told the host that a redirect leads to, where it is another. */
  onOtherHost(host: string): void;
}

/**
 * The answer, redirects followed: a few, never from https to http. User and password of the address go to its own host alone.
 * Throws `DATA_UNREADABLE` for a redirect that is not followed and for a connection that cannot be had, `Transient` for one
 * that may be had later.
 */
export async function ask({ address, name, headers, signal, onOtherHost }: HttpRequest): Promise<Response> {
  const first = parsed(address, name);
  const authorization = authorizationOf(first);
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const own = url.origin === first.origin && authorization !== undefined ? { authorization } : {};
    const response = await fetched(
      url,
      { headers: { ...headers, ...own }, signal, redirect: "manual" },
      name,
    );
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null) return response;
    await response.body?.cancel();
    if (redirects === MOST_REDIRECTS)
      throw unreadable(name, `the server redirects more than ${MOST_REDIRECTS} times`);
    url = redirected(url, location, name);
    if (url.host !== first.host) onOtherHost(url.host);
  }
}

function redirected(from: URL, location: string, name: string): URL {
  let url: URL;
  try {
    url = new URL(location, from);
  } catch (error) {
    throw unreadable(name, "the server redirects to what is no address", error);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw unreadable(name, `the server redirects to an address of ${url.protocol}, which is not followed`);
  if (from.protocol === "https:" && url.protocol === "http:")
    throw unreadable(
      name,
      `the server redirects from https to http, to ${url.host}, which is not followed: anyone on the way could change the data`,
    );
  // Another host's words are no user and password of the user's.
  url.username = "";
  url.password = "";
  return url;
}

function parsed(address: string, name: string): URL {
  try {
    return new URL(address);
  } catch {
    // The error would quote the address with its password.
    throw unreadable(name, "this is no address");
  }
}

/** User and password as basic authentication; takes them out of the address, which `fetch` refuses with them. */
function authorizationOf(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const plain = `${decoded(url.username)}:${decoded(url.password)}`;
  url.username = "";
  url.password = "";
  return `Basic ${Buffer.from(plain).toString("base64")}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As `fetch`. Throws as `ask`. */
export async function fetched(url: URL, init: RequestInit, name: string): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    throw init.signal?.aborted === true ? error : connectionError(name, error);
  }
}

/** The error for a connection that could not be had or broke off. */
export function connectionError(name: string, error: unknown): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  // Undici's "terminated" comes without a code where the other side closed in the middle of an answer.
  if (code === undefined ? /terminated|closed|aborted/.test(text) : PASSING.has(code))
    return new Transient(text, undefined, { cause: error });
  return unreadable(name, `no connection: ${text}`, error);
}

function unreadable(name: string, what: string, cause?: unknown): DdscError {
  return new DdscError("DATA_UNREADABLE", `${name}: ${what}; check the address`, { file: name }, { cause });
}

/** Fires when fewer than so many bytes have come for a while. */
export class ProgressWatch {
  fired = false;
  readonly #least: number;
  readonly #timer: NodeJS.Timeout;
  #received = 0;

  constructor(least: number, milliseconds: number, alarm: () => void) {
    this.#least = least;
    this.#timer = setTimeout(() => {
      this.fired = true;
      alarm();
    }, milliseconds);
  }

  /** The answer begins: from now on bytes are due. */
  begin(): void {
    this.#received = 0;
    this.#timer.refresh();
  }

  /** Bytes have come. */
  receive(bytes: number): void {
    this.#received += bytes;
    if (this.#received >= this.#least) this.begin();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
