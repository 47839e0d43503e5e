import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server does with a request for a range: true if it has answered. */
export type Fault = (request: IncomingMessage, response: ServerResponse, number: number) => boolean;

/** A server of one file on this machine that can be made to misbehave. */
export class RangeServer {
  /** Requests answered so far, as their ranges. */
  readonly requests: string[] = [];
  /** Looked at before every answer. */
  fault: Fault = () => false;
  /** What is served; may be replaced. */
  bytes: Uint8Array;
  etag = '"one"';
  readonly #server: Server;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(bytes: Uint8Array): Promise<RangeServer> {
    const server = new RangeServer(bytes);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  /** Address of a file of this name. */
  url(name = "cells.parquet"): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const range = request.headers.range ?? "";
    this.requests.push(`${request.url} ${range}`);
    if (this.fault(request, response, this.requests.length)) return;
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
    const start = Number(first);
    const end = Math.min(Number(last) + 1, this.bytes.length);
    response.setHeader("etag", this.etag);
    if (start >= this.bytes.length) {
      response.writeHead(416, { "content-range": `bytes */${this.bytes.length}` }).end();
      return;
    }
    response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${this.bytes.length}` });
    response.end(this.bytes.subarray(start, end));
  }
}
