import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { DdscError } from "../base/errors.js";
import { isSameSecret } from "../base/secrets.js";

/** Milliseconds between signs of life, and without one until a peer is taken for lost. */
const BEAT = 3000;
const SILENCE = 20_000;
/**
 * Milliseconds that an address of rank 0 gets to answer, and that peers get to say goodbye: on a machine with more work than processors they
 * take seconds to hear. With SILENCE, all end within half a minute.
 */
const CONNECT = 3000;
const GOODBYE = 8000;
/** Milliseconds that the others live on once rank 0 is lost. */
const HEADLESS = 1000;
/** Characters of a line that anyone may send. */
const LONGEST_LINE = 4096;

/** Where rank 0 listens. */
export interface Meeting {
  readonly port: number;
  /** What only ranks of the job know. */
  readonly token: string;
  readonly machine: string;
  /** Names and addresses of rank 0's machine, best first. */
  readonly hosts: readonly string[];
}

/** What peers tell one another, a JSON object a line. */
type Line =
  | { readonly kind: "hello"; readonly token: string; readonly rank: number }
  | { readonly kind: "beat" }
  | { readonly kind: "bye" }
  | { readonly kind: "ended" }
  | { readonly kind: "lost"; readonly rank: number; readonly why: string };

/**
 * Sees to it that a rank that dies, hangs up or fails ends the others soon: MPI itself would have them wait. Every rank holds a
 * connection to rank 0, which passes on what it hears; the kernel closes a dead process's at once, and a machine that is cut off falls
 * silent.
 */
export class PeerWatch {
  readonly #rank: number;
  readonly #onLost: (error: DdscError) => void;
  readonly #peers = new Map<number, Peer>();
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #lostRank: number | undefined;
  /** Whether this rank has said why it ends. */
  #isEnded = false;

  private constructor(rank: number, onLost: (error: DdscError) => void) {
    this.#rank = rank;
    this.#onLost = onLost;
  }

  /** Rank 0's: listens for the others. @param onLost told once, when a peer is lost or failed */
  static async listen(
    world: number,
    onLost: (error: DdscError) => void,
    preferred: string | undefined,
  ): Promise<{ readonly watch: PeerWatch; readonly meeting: Meeting }> {
    const watch = new PeerWatch(0, onLost);
    const token = randomBytes(32).toString("hex");
    const server = createServer((socket) => watch.#admit(socket, token, world));
    server.maxConnections = 2 * world + 16;
    watch.#server = server;
    server.listen(0);
    await once(server, "listening");
    server.on("error", () => undefined); // of a connection that could not be taken
    server.unref();
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    watch.#start();
    const hosts = [...(preferred === undefined ? [] : [preferred]), hostname(), ...ownAddresses()];
    return { watch, meeting: { port, token, machine: hostname(), hosts: [...new Set(hosts)] } };
  }

  /** Another rank's: meets rank 0. Undefined where no address of it can be reached. */
  static async meet(
    rank: number,
    { port, token, machine, hosts }: Meeting,
    onLost: (error: DdscError) => void,
  ): Promise<PeerWatch | undefined> {
    const tried = machine === hostname() ? ["127.0.0.1", "::1", ...hosts] : hosts;
    for (const host of tried) {
      const socket = await reach(host, port);
      if (socket === undefined) continue;
      const watch = new PeerWatch(rank, onLost);
      const peer = watch.#add(0, socket);
      peer.send({ kind: "hello", token, rank });
      watch.#start();
      return watch;
    }
    return undefined;
  }

  /** Waits until so many ranks are connected, some seconds at most; whether they are. */
  async complete(count: number): Promise<boolean> {
    const end = performance.now() + GOODBYE;
    while (this.#peers.size < count && performance.now() < end) await delay(10);
    return this.#peers.size >= count;
  }

  /**
   * Tells all others that this rank fails, unless it fails with another. The process then lives on until all ranks have come so far, some
   * seconds at most: launchers kill the others once one has ended, who should have said why they end.
   */
  fail(why: string): void {
    if (!this.#over) {
      this.#over = true;
      for (const peer of this.#peers.values()) peer.send({ kind: "lost", rank: this.#rank, why });
    }
    clearTimeout(this.#timer);
    const isHeadless = this.#rank > 0 && this.#lostRank === 0;
    this.#timer = setTimeout(() => this.close(), isHeadless ? HEADLESS : GOODBYE);
    // Without rank 0 nobody tells when all have come so far.
    if (isHeadless) return;
    // The caller has said it by then.
    setImmediate(() => {
      this.#isEnded = true;
      for (const peer of this.#peers.values()) peer.send({ kind: "ended" });
      this.#closeWhenAllEnded();
    });
  }

  /** On rank 0 once all others have ended, who end with it. */
  #closeWhenAllEnded(): void {
    if (!this.#isEnded) return;
    const isLiving = ([rank, peer]: [number, Peer]) =>
      rank !== this.#lostRank && !peer.isClosed && !(this.#rank === 0 && peer.isEnded);
    if (![...this.#peers].some(isLiving)) this.close();
  }

  /** From here on peers may go. */
  leave(): void {
    this.#over = true;
    for (const peer of this.#peers.values()) peer.send({ kind: "bye" });
  }

  /** Closes all connections. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const peer of this.#peers.values()) peer.end();
    this.#server?.close();
  }

  #start(): void {
    this.#timer = setInterval(() => this.#beat(), BEAT);
    this.#timer.unref();
  }

  #beat(): void {
    const now = performance.now();
    for (const [rank, peer] of this.#peers) {
      peer.send({ kind: "beat" });
      if (now - peer.heardAt > SILENCE) {
        this.#hear(rank, `said nothing for ${SILENCE / 1000} s: it hangs, or its machine or network is down`);
      }
    }
  }

  /** Takes in a connection once it has proved to be a rank's. */
  #admit(socket: Socket, token: string, world: number): void {
    const timer = setTimeout(() => socket.destroy(), CONNECT);
    socket.on("error", () => undefined);
    socket.once("close", () => clearTimeout(timer));
    readLine(socket, (text, rest) => {
      clearTimeout(timer);
      const line = parseLine(text);
      const isRank =
        line?.kind === "hello" &&
        isSameSecret(line.token, token) &&
        line.rank > 0 &&
        line.rank < world &&
        !this.#peers.has(line.rank);
      if (!isRank) {
        socket.destroy();
        return;
      }
      this.#add(line.rank, socket).take(rest);
    });
  }

  #add(rank: number, socket: Socket): Peer {
    const peer = new Peer(socket, {
      onLine: (line) => {
        if (line.kind === "lost") this.#hear(line.rank, line.why);
        if (line.kind === "bye") peer.isLeaving = true;
        if (line.kind === "ended") peer.isEnded = true;
        if (this.#over) this.#closeWhenAllEnded();
      },
      onClose: () => {
        peer.isClosed = true;
        if (this.#over) this.#closeWhenAllEnded();
        else if (!peer.isLeaving) this.#hear(rank, "ended without a word: it was killed, or crashed");
      },
    });
    this.#peers.set(rank, peer);
    return peer;
  }

  /** Ends this rank's part, and on rank 0 the others'. */
  #hear(rank: number, why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#lostRank = rank;
    const text = why.slice(0, LONGEST_LINE / 4);
    if (this.#rank === 0) {
      for (const [other, peer] of this.#peers)
        if (other !== rank) peer.send({ kind: "lost", rank, why: text });
    }
    this.#onLost(
      new DdscError(
        "CLUSTER_PEER_LOST",
        `rank ${rank} ${text}; this rank (${this.#rank}) ends with it. What was whole stands: a training goes on from its last checkpoint with --resume, with as many processes as you like; other work is started again`,
      ),
    );
  }
}

/** A connection to another rank. */
class Peer {
  readonly #socket: Socket;
  readonly #onLine: (line: Line) => void;
  /** When it was last heard. */
  heardAt = performance.now();
  /** Whether it said that it goes, or that it failed and is done. */
  isLeaving = false;
  isEnded = false;
  isClosed = false;
  #text = "";

  constructor(socket: Socket, on: { readonly onLine: (line: Line) => void; readonly onClose: () => void }) {
    this.#socket = socket;
    this.#onLine = on.onLine;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, BEAT);
    // The watch alone keeps no program alive.
    socket.unref();
    socket.on("data", (data) => this.take(data.toString()));
    socket.on("error", () => undefined); // close follows
    socket.once("close", on.onClose);
  }

  take(text: string): void {
    this.heardAt = performance.now();
    this.#text += text;
    for (let end = this.#text.indexOf("\n"); end >= 0; end = this.#text.indexOf("\n")) {
      const line = parseLine(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
      if (line !== undefined) this.#onLine(line);
    }
    if (this.#text.length > LONGEST_LINE) this.#socket.destroy();
  }

  send(line: Line): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(line)}\n`);
  }

  end(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }
}

/** The first line of a connection, and what came after it; closes one whose line is too long. */
export function readLine(
  socket: Socket,
  take: (line: string, rest: string) => void,
  longest = LONGEST_LINE,
): void {
  let text = "";
  const listen = (data: Buffer) => {
    text += data.toString();
    const end = text.indexOf("\n");
    if (end < 0) {
      if (text.length > longest) socket.destroy();
      return;
    }
    socket.off("data", listen);
    take(text.slice(0, end), text.slice(end + 1));
  };
  socket.on("data", listen);
}

/** Undefined for anything else. */
export function parseLine(text: string): Line | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof line !== "object" || line === null) return undefined;
  const { kind, token, rank, why } = line as Readonly<Record<string, unknown>>;
  const isRank = typeof rank === "number" && Number.isSafeInteger(rank) && rank >= 0;
  if (kind === "beat" || kind === "bye" || kind === "ended") return { kind };
  if (kind === "hello" && typeof token === "string" && isRank) return { kind, token, rank };
  if (kind === "lost" && typeof why === "string" && isRank) return { kind, rank, why };
  return undefined;
}

/** Connects, within some seconds; undefined where that fails. */
async function reach(host: string, port: number): Promise<Socket | undefined> {
  const socket = connect({ host, port });
  const timeout = new AbortController();
  try {
    const late = delay(CONNECT, true, { signal: timeout.signal }).catch(() => true);
    const isLate = await Promise.race([once(socket, "connect").then(() => false), late]);
    if (!isLate) return socket;
  } catch {
    // The next address may do.
  } finally {
    timeout.abort();
  }
  socket.on("error", () => undefined);
  socket.destroy();
  return undefined;
}

/** Addresses of this machine that others may reach. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80"))
    .map(({ address }) => address);
}
