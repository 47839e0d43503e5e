import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { DdscError } from "../base/errors.js";
import { errorCode } from "../base/files.js";
import { packageVersion } from "../base/version.js";
import { Access } from "./access.js";
import { type Asset, loadAssets } from "./assets.js";
import { EventStream } from "./event_stream.js";
import { FollowedRuns } from "./followed_runs.js";

/** Connections at the same time, at most; those of pages that listen are fewer. */
const MOST_CONNECTIONS = 128;

/** Sent with everything. */
const HEADERS = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
} as const;

/** Where a server listens, and who may read. */
export interface ServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Undefined: none is asked for. */
  readonly token: string | undefined;
}

/** Serves the page and the events of some runs over HTTP until it is closed. */
export class RunsServer {
  readonly #server: Server;
  readonly #events: EventStream;
  readonly #runs: FollowedRuns;
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #access: Access;
  readonly port: number;

  private constructor(
    server: Server,
    parts: { readonly paths: readonly string[]; readonly token: string | undefined },
    assets: ReadonlyMap<string, Asset>,
  ) {
    this.#server = server;
    this.#assets = assets;
    this.port = (server.address() as AddressInfo).port;
    this.#access = new Access(parts.token, this.port);
    this.#runs = new FollowedRuns(parts.paths, (event) => this.#events.tell(event));
    this.#events = new EventStream({
      version: packageVersion(),
      snapshot: () => this.#runs.snapshot(),
      onClients: (count) => this.#runs.listen(count > 0),
    });
    server.on("request", (request, response) => this.#answer(request, response));
  }

  /** Throws `WATCH_PORT` and `WATCH_HOST` where it cannot listen there. */
  static async start(paths: readonly string[], { host, port, token }: ServerOptions): Promise<RunsServer> {
    const assets = await loadAssets();
    const server = createServer();
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(error, host, port)));
      server.listen({ host, port }, resolve);
    });
    server.removeAllListeners("error");
    server.on("error", () => undefined);
    return new RunsServer(server, { paths, token }, assets);
  }

  /** Ends all connections and listens no more. */
  async close(): Promise<void> {
    this.#runs.listen(false);
    this.#events.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const address = addressOf(request);
    if (request.method !== "GET") {
      response.setHeader("Allow", "GET");
      refuse(response, 405, "only GET is answered");
    } else if (address === undefined) {
      refuse(response, 400, "this address cannot be read");
    } else {
      this.#admit(address, request, response);
    }
  }

  #admit(address: URL, request: IncomingMessage, response: ServerResponse): void {
    switch (this.#access.check(request, address)) {
      case "host":
        refuse(response, 403, "this page is for this machine alone, under the name localhost or 127.0.0.1");
        break;
      case "refused":
        refuse(response, 401, "open the address that ddsc printed, with its token");
        break;
      case "token":
        // The token leaves the address, which browsers keep and show.
        response.writeHead(303, { Location: address.pathname, "Set-Cookie": this.#access.setCookie });
        response.end();
        break;
      case "granted":
        this.#give(address.pathname, request, response);
    }
  }

  #give(path: string, request: IncomingMessage, response: ServerResponse): void {
    const asset = this.#assets.get(path);
    if (path === "/events" && this.#events.hasRoom) {
      const last = request.headers["last-event-id"];
      this.#events.add(response, typeof last === "string" ? last : undefined);
    } else if (path === "/events") {
      refuse(response, 503, "too many pages are open");
    } else if (asset === undefined) {
      refuse(response, 404, "there is nothing here");
    } else {
      response.writeHead(200, {
        "Content-Type": asset.type,
        "Content-Length": Buffer.byteLength(asset.body),
      });
      response.end(asset.body);
    }
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" });
  response.end(`${why}\n`);
}

/** What a request asks for; undefined for what is no path. */
function addressOf({ url = "" }: IncomingMessage): URL | undefined {
  if (!url.startsWith("/") || url.startsWith("//")) return undefined;
  try {
    return new URL(url, "http://localhost");
  } catch {
    return undefined;
  }
}

function listenError(error: Error, host: string, port: number): DdscError {
  const code = errorCode(error);
  const place = { argument: code === "EADDRINUSE" || code === "EACCES" ? "port" : "host" };
  if (code === "EADDRINUSE") {
    return new DdscError(
      "WATCH_PORT",
      `port ${port} of ${host} is in use; choose another port, or 0 for any that is free`,
      place,
      { cause: error },
    );
  }
  if (code === "EACCES") {
    return new DdscError(
      "WATCH_PORT",
      `port ${port} of ${host} is not for users; choose one of 1024 and above, or 0 for any that is free`,
      place,
      { cause: error },
    );
  }
  return new DdscError(
    "WATCH_HOST",
    `this machine cannot listen at ${host} (${code ?? error.message}); choose one of its own addresses`,
    place,
    { cause: error },
  );
}
