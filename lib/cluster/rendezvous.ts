import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { DdscError } from "../base/errors.js";
import { isSameSecret } from "../base/secrets.js";
import { packageVersion } from "../base/version.js";
import { ownAddresses, readLine } from "./peer_watch.js";
import {
  type Answer,
  type Hello,
  MOST_HOSTS,
  type Place,
  parseAnswer,
  parseHello,
  proofOf,
  sign,
} from "./rendezvous_words.js";

/** Milliseconds that a connection gets to say who it is, or rank 0 to ask. */
const WORD = 20_000;
/** Milliseconds between two attempts to reach rank 0, which may start later, or have no name in the DNS yet. */
const AGAIN = 250;
/** Characters of the list of all ranks. */
const LONGEST_LIST = 1 << 28;

/** What a process brings to the meeting. */
export interface MeetingOptions {
  readonly rank: number;
  readonly world: number;
  /** Where rank 0 listens. */
  readonly host: string;
  readonly port: number;
  /** What the processes of the job know, and others may not; may be empty. */
  readonly secret: string;
  /** Where this process listens for the other ranks from then on. */
  readonly listening: number;
  /** Seconds until those that are missing end the meeting. */
  readonly seconds: number;
}

/** What all know afterwards. */
export interface Met {
  /** By rank, this one too: numeric addresses, best first, and the port. */
  readonly peers: readonly { readonly hosts: readonly string[]; readonly port: number }[];
  /** What nobody knows who does not know the secret, or heard the meeting: 64 characters. */
  readonly token: string;
}

/**
 * Has the processes of a job find one another over TCP: all come to rank 0, prove that they know the secret, which is never sent, and learn
 * where each listens. Throws `CLUSTER_RENDEZVOUS`, naming who is missing or what is wrong.
 */
export async function meet(options: MeetingOptions): Promise<Met> {
  const { rank, secret } = options;
  const { session, places } = rank === 0 ? await receive(options) : await visit(options);
  const peers = places.map(({ machine, hosts, port }) => ({ hosts: hostsFrom(machine, hosts), port }));
  return { peers, token: sign(secret, ["token", session]) };
}

interface Outcome {
  readonly session: string;
  readonly places: readonly Place[];
}

/** Rank 0's part: waits for all others. */
async function receive(options: MeetingOptions): Promise<Outcome> {
  const { world, port, secret, listening, seconds } = options;
  const places = new Map<number, Place>([[0, ownPlace(listening)]]);
  const guests = new Map<number, { readonly socket: Socket; readonly nonce: string }>();
  const connections = new Set<Socket>();
  let strangers = 0;
  let complete: (all: readonly Place[]) => void = () => undefined;
  const whenComplete = new Promise<readonly Place[]>((resolve) => {
    complete = resolve;
  });
  const completeIfAll = () => {
    if (places.size === world) complete([...places].sort(([a], [b]) => a - b).map(([, place]) => place));
  };
  const server = createServer((socket) => {
    connections.add(socket);
    const timer = setTimeout(() => socket.destroy(), WORD);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      connections.delete(socket);
      clearTimeout(timer);
      // It may come again.
      for (const [rank, guest] of guests) {
        if (guest.socket !== socket) continue;
        guests.delete(rank);
        places.delete(rank);
      }
    });
    const nonce = randomBytes(32).toString("hex");
    say(socket, { kind: "challenge", nonce });
    readLine(socket, (line) => {
      clearTimeout(timer);
      const hello = parseHello(line);
      if (hello === undefined || !isSameSecret(hello.proof, proofOf(secret, nonce, hello))) {
        strangers++;
        refuse(
          socket,
          "it does not know the secret of the job: DDSC_CLUSTER_SECRET must be the same for all",
        );
        return;
      }
      const why = whyNot(hello, world, places);
      if (why !== undefined) {
        refuse(socket, why);
        return;
      }
      const seen = socket.remoteAddress?.replace(/^::ffff:/, "");
      const hosts = seen === undefined ? hello.hosts : [seen, ...hello.hosts];
      places.set(hello.rank, { machine: hello.machine, hosts: [...new Set(hosts)], port: hello.port });
      guests.set(hello.rank, { socket, nonce: hello.nonce });
      completeIfAll();
    });
  });
  server.maxConnections = 2 * world + 64;
  try {
    server.listen(port);
    await once(server, "listening");
  } catch (error) {
    throw failed(
      `rank 0 cannot listen on port ${port} (${codeOf(error)}): set DDSC_CLUSTER_PORT to a free one, the same for all ranks`,
    );
  }
  server.on("error", () => undefined); // of a connection that could not be taken
  completeIfAll();
  const late = new AbortController();
  const all = await Promise.race([
    whenComplete,
    delay(seconds * 1000, undefined, { signal: late.signal }).catch(() => undefined),
  ]);
  late.abort();
  server.close();
  if (all === undefined) {
    for (const socket of connections) socket.destroy();
    const missing = Array.from({ length: world }, (_, rank) => rank).filter((rank) => !places.has(rank));
    throw failed(
      `rank ${missing.join(", ")} of ${world} did not come to port ${port} of ${hostname()} within ${seconds} s` +
        `${strangers > 0 ? ` (${strangers} connections without the job's secret were turned away)` : ""}; ` +
        "see that they run, and that MASTER_ADDR leads them here",
    );
  }
  const session = randomBytes(32).toString("hex");
  for (const { socket, nonce } of guests.values()) {
    const proof = sign(secret, ["welcome", nonce, session, all]);
    socket.end(`${JSON.stringify({ kind: "welcome", session, places: all, proof })}\n`);
    // Who does not hang up keeps no program alive.
    socket.unref();
    connections.delete(socket);
  }
  for (const socket of connections) socket.destroy();
  return { session, places: all };
}

/** Why a process that knows the secret cannot be one of the ranks; undefined if it can. */
function whyNot(hello: Hello, world: number, places: ReadonlyMap<number, Place>): string | undefined {
  if (hello.version !== packageVersion()) {
    return `it runs ${hello.version} and rank 0 ${packageVersion()}: all need the same version`;
  }
  if (hello.world !== world) return `it was told of ${hello.world} processes and rank 0 of ${world}`;
  if (hello.rank === 0) return "rank 0 is this one: two processes were given the same rank";
  const taken = places.get(hello.rank);
  return taken === undefined
    ? undefined
    : `rank ${hello.rank} came already, from ${taken.machine}: two processes were given the same rank`;
}

/** The part of the others: come to rank 0. */
async function visit(options: MeetingOptions): Promise<Outcome> {
  const { rank, host, port, seconds } = options;
  const deadline = performance.now() + seconds * 1000;
  let problem = "";
  while (performance.now() < deadline) {
    const socket = connect({ host, port });
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // seen by `once` and `lineOf`
    try {
      await within(once(socket, "connect"), Math.min(WORD, deadline - performance.now()));
      const heard = await introduce(socket, options, deadline);
      if (heard !== undefined) return heard;
      problem = "it closed the connection";
    } catch (error) {
      if (error instanceof DdscError) throw error;
      problem = codeOf(error);
    } finally {
      socket.destroy();
    }
    await delay(AGAIN);
  }
  throw failed(
    `rank ${rank} did not meet rank 0 at ${host}:${port} within ${seconds} s (${problem || "no answer"}): MASTER_ADDR must be the ` +
      "machine of rank 0, and the port be open to the others",
  );
}

/** Undefined where rank 0 went away. */
async function introduce(
  socket: Socket,
  options: MeetingOptions,
  deadline: number,
): Promise<Outcome | undefined> {
  const { rank, world, secret, host, port, listening } = options;
  const first = await lineOf(socket, WORD);
  if (first === undefined) return undefined;
  const challenge = parseAnswer(first);
  if (challenge?.kind !== "challenge")
    throw failed(`another program answers at ${host}:${port}; ${OTHER_PORT}`);
  const nonce = randomBytes(32).toString("hex");
  const said = {
    kind: "hello",
    nonce,
    rank,
    world,
    version: packageVersion(),
    ...ownPlace(listening),
  } as const;
  socket.write(`${JSON.stringify({ ...said, proof: proofOf(secret, challenge.nonce, said) })}\n`);
  const second = await lineOf(socket, deadline - performance.now());
  if (second === undefined) return undefined;
  const answer = parseAnswer(second);
  if (answer?.kind === "refused")
    throw failed(`rank 0 at ${host}:${port} refused rank ${rank}: ${answer.why}`);
  if (
    answer?.kind !== "welcome" ||
    answer.places.length !== world ||
    !isSameSecret(answer.proof, sign(secret, ["welcome", nonce, answer.session, answer.places]))
  ) {
    throw failed(`what answers at ${host}:${port} does not know the secret of the job; ${OTHER_PORT}`);
  }
  const seen = socket.remoteAddress?.replace(/^::ffff:/, "");
  const places = answer.places.map((place, of) =>
    of === 0 && seen !== undefined ? { ...place, hosts: [seen, ...place.hosts] } : place,
  );
  return { session: answer.session, places };
}

const OTHER_PORT =
  "see that MASTER_ADDR and MASTER_PORT are this job's, or set DDSC_CLUSTER_PORT to a port that is free on the machine of rank 0";

/** Addresses to try for a rank on a machine: of another machine none that leads back to this one. */
function hostsFrom(machine: string, hosts: readonly string[]): string[] {
  if (machine === hostname()) return [...new Set(["127.0.0.1", "::1", ...hosts])];
  return [...new Set(hosts)].filter((host) => host !== "::1" && !host.startsWith("127."));
}

function ownPlace(port: number): Place {
  return { machine: hostname(), hosts: ownAddresses().slice(0, MOST_HOSTS), port };
}

function say(socket: Socket, answer: Answer): void {
  if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
}

function refuse(socket: Socket, why: string): void {
  say(socket, { kind: "refused", why });
  socket.end();
}

/** The next line; undefined where the connection is closed first. Throws where none comes in time. */
async function lineOf(socket: Socket, milliseconds: number): Promise<string | undefined> {
  const line = new Promise<string | undefined>((resolve) => {
    socket.once("close", () => resolve(undefined));
    readLine(socket, resolve, LONGEST_LIST);
    if (socket.destroyed) resolve(undefined);
  });
  return within(line, milliseconds);
}

/** Throws where it takes longer. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T> {
  const timer = new AbortController();
  const late = delay(Math.max(1, milliseconds), undefined, { signal: timer.signal }).then(
    () => {
      throw new Error("no answer");
    },
    () => promise,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

function failed(what: string): DdscError {
  return new DdscError("CLUSTER_RENDEZVOUS", what);
}
