import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { WatchEvent } from "./messages.js";

/** Pages that are told at the same time, at most. */
const MOST_CLIENTS = 32;
/** Characters of past events that are kept for pages that come back, at most. */
const KEPT_CHARACTERS = 2 ** 20;
/** Bytes that wait for a page which does not read, at most; it is then let go of and comes back. */
const MOST_WAITING = 32 * 2 ** 20;
/** Milliseconds between comments that keep connections alive, and after which a page comes back. */
const ALIVE_EVERY = 15_000;
const COME_BACK_AFTER = 1000;

interface Past {
  readonly number: number;
  readonly text: string;
}

/** Server-sent events to any number of pages: each gets all that there is, then what changes, and after a gap what it missed. */
export class EventStream {
  /** Tells events of this process from those of one before it, whose numbers mean nothing here. */
  readonly #epoch = randomBytes(6).toString("hex");
  readonly #clients = new Set<ServerResponse>();
  readonly #snapshot: () => readonly WatchEvent[];
  readonly #onClients: (count: number) => void;
  readonly #version: string;
  readonly #timer: NodeJS.Timeout;
  #number = 0;
  #past: Past[] = [];
  #pastCharacters = 0;

  /**
   * @param options.snapshot gives all that there is
   * @param options.onClients told how many pages listen, whenever that changes
   */
  constructor(options: {
    readonly version: string;
    readonly snapshot: () => readonly WatchEvent[];
    readonly onClients: (count: number) => void;
  }) {
    this.#version = options.version;
    this.#snapshot = options.snapshot;
    this.#onClients = options.onClients;
    this.#timer = setInterval(() => this.#write(": alive\n\n"), ALIVE_EVERY).unref();
  }

  /** Whether another page can listen. */
  get hasRoom(): boolean {
    return this.#clients.size < MOST_CLIENTS;
  }

  /** Lets a page listen. @param last what it sent as `Last-Event-ID` */
  add(response: ServerResponse, last: string | undefined): void {
    response.writeHead(200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
    response.write(`retry: ${COME_BACK_AFTER}\n\n`);
    const missed = this.#missedSince(last);
    if (missed === undefined) {
      const all: readonly WatchEvent[] = [
        { name: "reset", data: { version: this.#version } },
        ...this.#snapshot(),
      ];
      for (const event of all) response.write(this.#textOf(event, this.#number));
    } else {
      for (const { text } of missed) response.write(text);
    }
    this.#clients.add(response);
    response.on("close", () => {
      this.#clients.delete(response);
      this.#onClients(this.#clients.size);
    });
    this.#onClients(this.#clients.size);
  }

  /** Tells all pages. */
  tell(event: WatchEvent): void {
    const text = this.#textOf(event, ++this.#number);
    this.#past.push({ number: this.#number, text });
    this.#pastCharacters += text.length;
    while (this.#pastCharacters > KEPT_CHARACTERS)
      this.#pastCharacters -= this.#past.shift()?.text.length ?? 0;
    this.#write(text);
  }

  /** Ends all pages' connections. */
  close(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.end();
  }

  #write(text: string): void {
    for (const client of this.#clients) {
      client.write(text);
      if (client.writableLength > MOST_WAITING) client.destroy();
    }
  }

  #textOf({ name, data }: WatchEvent, number: number): string {
    return `id: ${this.#epoch}-${number}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  }

  /** What came after the event that a page knows last; undefined where that is not known any more. */
  #missedSince(last: string | undefined): readonly Past[] | undefined {
    const [epoch, text = ""] = last?.split("-") ?? [];
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    const first = this.#past[0]?.number ?? this.#number + 1;
    if (epoch !== this.#epoch || !(number >= first - 1 && number <= this.#number)) return undefined;
    return this.#past.filter((past) => past.number > number);
  }
}
