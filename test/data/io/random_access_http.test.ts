import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpFile } from "../../../lib/data/io/random_access_http.js";
import { remote } from "../../../lib/data/open/remote.js";
import { type Fault, RangeServer } from "./http_server.js";

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) & 255);
const quick = { pauseMs: 1, tries: 4, timeoutMs: 250 };
let server: RangeServer;
beforeEach(async () => {
  server = await RangeServer.start(bytes);
});
afterEach(() => server.stop());

/** A fault that befalls every second request. */
function everySecond(fault: Fault): Fault {
  return (request, response, number) => number % 2 === 1 && fault(request, response, number);
}

const drops: Fault = (request) => {
  request.socket.destroy();
  return true;
};
const dropsMidway: Fault = (request, response) => {
  const [, first = "0", last = "0"] = /(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
  response.writeHead(206, {
    "content-range": `bytes ${first}-${last}/5000`,
    "content-length": String(Number(last) - Number(first) + 1),
  });
  response.write(bytes.subarray(0, 1));
  setTimeout(() => request.socket.destroy(), 5);
  return true;
};
const isBusy: Fault = (_, response) => {
  response.writeHead(503, { "retry-after": "0" }).end("busy");
  return true;
};
const limitsRate: Fault = (_, response) => {
  response.writeHead(429).end();
  return true;
};
const isSilent: Fault = () => true;
const answersSlowly: Fault = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 100-119/5000" });
  response.write(bytes.subarray(100, 101));
  return true;
};
const answersTooLittle: Fault = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 100-119/5000" }).end(bytes.subarray(100, 110));
  return true;
};
const answersTooMuch: Fault = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 100-119/5000" }).end(bytes.subarray(100, 160));
  return true;
};
const answersAnotherRange: Fault = (_, response) => {
  response.writeHead(206, { "content-range": "bytes 200-219/5000" }).end(bytes.subarray(200, 220));
  return true;
};
const saysNoRange: Fault = (_, response) => {
  response.writeHead(206).end(bytes.subarray(100, 120));
  return true;
};

describe("a file behind an address", () => {
  it("is read in exactly the ranges asked for", async () => {
    const file = await HttpFile.open(server.url(), quick);
    expect(file.size).toBe(5000);
    expect(await file.read(100, 20)).toEqual(bytes.slice(100, 120));
    expect(await file.read(4990, 10)).toEqual(bytes.slice(4990));
    expect(await file.read(17, 0)).toEqual(new Uint8Array(0));
    expect(server.requests.map((request) => request.split(" ")[1])).toEqual([
      "bytes=0-0",
      "bytes=100-119",
      "bytes=4990-4999",
    ]);
  });

  it.each([
    ["drops connections", drops],
    ["drops connections in the middle of an answer", dropsMidway],
    ["is busy", isBusy],
    ["limits the rate", limitsRate],
    ["does not answer", isSilent],
    ["stops in the middle of an answer", answersSlowly],
    ["answers too little", answersTooLittle],
    ["answers too much", answersTooMuch],
    ["answers another range", answersAnotherRange],
    ["does not say which range it answers", saysNoRange],
  ] as const)("is read from a server that now and then %s", async (_, fault) => {
    const file = await HttpFile.open(server.url(), quick);
    // The next request, an even one, goes well; the one after it does not.
    expect(await file.read(5, 3)).toEqual(bytes.slice(5, 8));
    server.fault = everySecond(fault);
    expect(await file.read(100, 20)).toEqual(bytes.slice(100, 120));
    expect(server.requests.length).toBe(4);
  });

  it.each([
    ["drops connections", drops],
    ["is busy", isBusy],
    ["does not answer", isSilent],
    ["answers another range", answersAnotherRange],
  ] as const)("ends in an error where the server always %s", async (_, fault) => {
    const file = await HttpFile.open(server.url(), quick);
    server.fault = fault;
    await expect(file.read(100, 20)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: expect.stringMatching(/after 4 tries/),
    });
    expect(server.requests.length).toBe(5);
  });

  it.each([
    [404, "DATA_NOT_FOUND"],
    [410, "DATA_NOT_FOUND"],
    [403, "DATA_UNREADABLE"],
    [200, "DATA_NO_RANGES"],
  ] as const)("is refused at once where the server answers %d", async (status, code) => {
    server.fault = (_, response) => {
      response.writeHead(status).end(bytes);
      return true;
    };
    await expect(HttpFile.open(server.url(), quick)).rejects.toMatchObject({ code });
    expect(server.requests.length).toBe(1);
  });

  it("is refused where the first answer is not the range asked for", async () => {
    server.fault = answersAnotherRange;
    await expect(HttpFile.open(server.url(), quick)).rejects.toMatchObject({ code: "DATA_NO_RANGES" });
  });

  it("is given up where it was replaced by another while it was read", async () => {
    const file = await HttpFile.open(server.url(), quick);
    server.etag = '"two"';
    await expect(file.read(0, 10)).rejects.toMatchObject({ code: "DATA_CHANGED" });
    server.etag = '"one"';
    server.bytes = bytes.slice(0, 4000);
    await expect(file.read(0, 10)).rejects.toMatchObject({ code: "DATA_CHANGED" });
    await expect(file.read(4500, 10)).rejects.toMatchObject({ code: "DATA_CHANGED" });
  });

  it("is not asked for what lies outside it, nor after it was closed", async () => {
    const file = await HttpFile.open(server.url(), quick);
    await expect(file.read(4999, 2)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    file.close();
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: "DATA_CLOSED" });
    expect(server.requests.length).toBe(1);
  });

  it("stops when it is told to, also between tries", async () => {
    const file = await HttpFile.open(server.url(), { ...quick, pauseMs: 5_000 });
    server.fault = drops;
    const stop = new AbortController();
    const reading = file.read(0, 10, stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), 30);
    await expect(reading).rejects.toThrow(/enough|abort/i);
  });

  it("without bytes has the length 0", async () => {
    server.bytes = new Uint8Array(0);
    expect((await HttpFile.open(server.url(), quick)).size).toBe(0);
  });
});

describe.each(["snappy.parquet", "stream.arrow"])("cells of %s behind an address", (name) => {
  const folder = new URL("../../fixtures/tahoe/", import.meta.url).pathname;
  const expected = JSON.parse(readFileSync(`${folder}expected.json`, "utf8")) as {
    cells: [number, number][][];
    ids: string[];
  };

  it("are those of the file, read in parts over a connection that drops", async () => {
    server.fault = (request, response, number) => {
      const file = request.url?.slice(1) ?? "";
      const known = [name, "gene_metadata.parquet"].includes(file);
      if (!known) {
        response.writeHead(404).end();
        return true;
      }
      server.bytes = readFileSync(folder + file);
      return number % 5 === 3 && drops(request, response, number);
    };
    using source = await remote.open(server.url(name), {});
    const all = Int32Array.from(expected.cells.keys());
    const { offsets, columns, counts } = await source.read(all);
    const cells = expected.cells.map((_, i) =>
      Array.from({ length: offsets[i + 1]! - offsets[i]! }, (_, k) => [
        columns[offsets[i]! + k],
        counts[offsets[i]! + k],
      ]),
    );
    expect(cells).toEqual(expected.cells);
    expect(await source.cellIds(all)).toEqual(expected.ids);
  });
});
