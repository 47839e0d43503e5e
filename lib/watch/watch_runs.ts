import { stat } from "node:fs/promises";
import { hostname } from "node:os";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkWhole, DdscError } from "../base/errors.js";
import { errorCode } from "../base/files.js";
import { isLoopback, newToken } from "./access.js";
import { RunsServer } from "./server.js";

/** Where `watchRuns` listens where it is told nothing else. */
export const WATCH_PORT = 6116;
const WATCH_HOST = "127.0.0.1";
/** Characters that a token has at least. */
const SHORTEST_TOKEN = 16;

/** Options of `watchRuns`. */
export interface WatchOptions {
  /** Port to listen at, 0 for any that is free; default 6116, or any that is free where that is in use. */
  readonly port?: number;
  /**
   * Address to listen at; default 127.0.0.1, which no other machine reaches. Any other address is served without encryption, and only
   * to those who know the token.
   */
  readonly host?: string;
  /**
   * What a reader has to know, 16 characters or more of letters, digits, "-" and "_", or "new" for one that nobody can guess; default a
   * new one where `host` is reached by other machines, else none: any user of this machine may read.
   */
  readonly token?: string;
  /** Whether folders that are not there are waited for rather than an error; default false. */
  readonly waitForRuns?: boolean;
}

/** A page about runs that is being served; `await using` or `close()` it. */
export interface RunsPage extends AsyncDisposable {
  /** Where to open it in a browser, with the token where there is one. */
  readonly address: string;
  readonly port: number;
  /** Ends it, with the connections of all that read it. */
  close(): Promise<void>;
}

/**
 * Serves a page that shows runs live as they train, and those that have ended: curves, speed, time left, validation beside the
 * baselines, memory, checkpoints, notes and errors, as `ddsc watch` does. It reads the runs' files only, so that runs of any process
 * appear, and reads them only while a page is open. Does not keep a program from doing other things, but from ending until closed.
 *
 * @param runs folders of runs, or folders that hold some, at most three levels down; new runs appear
 *
 * Throws `WATCH_RUNS` where one is no folder, `WATCH_PORT`, `WATCH_HOST`, `ARGUMENT_*`.
 */
export async function watchRuns(runs: readonly string[], options: WatchOptions = {}): Promise<RunsPage> {
  checkKind("runs", runs, "texts");
  checkOptions(options, { host: "text", token: "text", waitForRuns: "switch" });
  const { host = WATCH_HOST, waitForRuns = false } = options;
  const token = tokenFor(host, options.token);
  if (options.port !== undefined) checkWhole("port", options.port, 0, 65_535);
  if (!waitForRuns) for (const folder of runs) await requireFolder(folder);
  const server = await startServer(runs, host, options.port, token);
  const { port } = server;
  const reached = host === "0.0.0.0" || host === "::" ? hostname() : host;
  const name = reached.includes(":") ? `[${reached}]` : reached;
  const close = () => server.close();
  return {
    address: `http://${name}:${port}/${token === undefined ? "" : `?enter=${token}`}`,
    port,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function startServer(
  runs: readonly string[],
  host: string,
  port: number | undefined,
  token: string | undefined,
): Promise<RunsServer> {
  if (port !== undefined) return await RunsServer.start(runs, { host, port, token });
  try {
    return await RunsServer.start(runs, { host, port: WATCH_PORT, token });
  } catch (error) {
    if (!(error instanceof DdscError && error.code === "WATCH_PORT")) throw error;
    return await RunsServer.start(runs, { host, port: 0, token });
  }
}

function tokenFor(host: string, asked: string | undefined): string | undefined {
  if (asked === undefined) return isLoopback(host) ? undefined : newToken();
  if (asked === "new") return newToken();
  if (new RegExp(`^[A-Za-z0-9_-]{${SHORTEST_TOKEN},256}$`).test(asked)) return asked;
  throw new DdscError(
    "ARGUMENT_RANGE",
    `expected ${SHORTEST_TOKEN} to 256 letters, digits, "-" and "_" for token; leave it out for a new one`,
    { argument: "token" },
  );
}

async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => errorCode(error) ?? String(error));
  if (typeof found !== "string" && found.isDirectory()) return;
  const why =
    typeof found !== "string"
      ? "this is no folder"
      : found === "ENOENT"
        ? "there is no such folder"
        : `it cannot be read (${found})`;
  throw new DdscError(
    "WATCH_RUNS",
    `${folder}: ${why}; give the folder of a run, or one that holds runs or will`,
    { file: folder },
  );
}
