import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isSameSecret } from "../base/secrets.js";

/** What a request may have. */
export type Admission = "granted" | "token" | "host" | "refused";

/** Names by which a machine reaches itself. */
const OWN_NAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Whether an address to listen at is one that only the machine itself reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** A token that cannot be guessed. */
export function newToken(): string {
  return randomBytes(24).toString("base64url");
}

/** Says who may read: anybody on this machine, or who knows a token. */
export class Access {
  readonly #token: string | undefined;
  /** Cookies of servers on other ports of the machine are sent along, so that each has a name of its own. */
  readonly #cookie: string;

  /** @param token undefined: none is asked for */
  constructor(token: string | undefined, port: number) {
    this.#token = token;
    this.#cookie = `ddsc-watch-${port}`;
  }

  /**
   * What a request may have: "token" where its address carries the right one, which then belongs into the cookie; "host" where it was
   * meant for another host, as of a foreign page whose name was turned to this address.
   */
  check(request: IncomingMessage, address: URL): Admission {
    if (this.#token === undefined) return isOwnName(request.headers.host) ? "granted" : "host";
    // Not a name by which secrets are known, which are left out of all that is printed: here it has to be printed once.
    if (isSameSecret(address.searchParams.get("enter") ?? "", this.#token)) return "token";
    return isSameSecret(this.#cookieOf(request), this.#token) ? "granted" : "refused";
  }

  /** The header that gives a browser the cookie. */
  get setCookie(): string {
    return `${this.#cookie}=${this.#token ?? ""}; HttpOnly; SameSite=Lax; Path=/`;
  }

  #cookieOf({ headers }: IncomingMessage): string {
    for (const cookie of (headers.cookie ?? "").split(";")) {
      const [name, ...value] = cookie.trim().split("=");
      if (name === this.#cookie) return value.join("=");
    }
    return "";
  }
}

/** Whether a request names this machine by a name that is its own for all, on any port (it may be a tunnel's). */
function isOwnName(host: string | undefined): boolean {
  return OWN_NAMES.has((host ?? "").toLowerCase().replace(/:\d*$/, ""));
}
