import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HttpFile } from "../../../lib/data/io/random_access_http.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { remote } from "../../../lib/data/open/remote.js";
import { recordData } from "../../../lib/training/run_data.js";
import { type Fault, RangeServer } from "./http_server.js";

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) & 255);
const quick = { pauseMs: 1, tries: 4, timeoutMs: 250, leastBytes: 100 };
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
      "bytes=0-7",
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
    expect(await file.read(50, 3)).toEqual(bytes.slice(50, 53));
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
    [403, "DATA_ACCESS_DENIED"],
    [401, "DATA_ACCESS_DENIED"],
    [400, "DATA_UNREADABLE"],
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

  it("is not waited for where bytes come one at a time", async () => {
    const file = await HttpFile.open(server.url(), { ...quick, tries: 2 });
    server.fault = (_, response) => {
      response.writeHead(206, { "content-range": "bytes 0-4999/5000", "content-length": "5000" });
      let sent = 0;
      const drip = setInterval(() => response.write(bytes.subarray(sent, ++sent)), 20);
      response.on("close", () => clearInterval(drip));
      return true;
    };
    await expect(file.read(0, 5000)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: expect.stringContaining("after 2 tries: fewer than 100 bytes within 0.25 s"),
    });
  });

  it("is read where bytes come slowly, but come", async () => {
    const file = await HttpFile.open(server.url(), { ...quick, tries: 1 });
    server.fault = (_, response) => {
      response.writeHead(206, { "content-range": "bytes 0-799/5000", "content-length": "800" });
      let sent = 0;
      const drip = setInterval(() => {
        response.write(bytes.subarray(sent, sent + 100));
        sent += 100;
        if (sent === 800) clearInterval(drip);
      }, 100);
      return true;
    };
    expect(await file.read(0, 800)).toEqual(bytes.slice(0, 800));
  });

  it("is given up at once where the server asks for a long pause", async () => {
    server.fault = (_, response) => {
      response.writeHead(429, { "retry-after": "3600" }).end();
      return true;
    };
    await expect(HttpFile.open(server.url(), quick)).rejects.toThrow(/429 and asks to wait 3600 s/);
    expect(server.requests.length).toBe(1);
  });

  it.each(["http://no-such-host.invalid/cells.parquet", "http://[oops/cells.parquet"])(
    "at %s is not asked for again",
    async (address) => {
      const tries = vi.spyOn(globalThis, "fetch");
      await expect(HttpFile.open(address, quick)).rejects.toMatchObject({
        code: expect.stringMatching(/^DATA_/),
      });
      expect(tries.mock.calls.length).toBeLessThanOrEqual(1);
      tries.mockRestore();
    },
  );

  it("without bytes has the length 0", async () => {
    server.bytes = new Uint8Array(0);
    expect((await HttpFile.open(server.url(), quick)).size).toBe(0);
  });
});

describe("an address that leads to another", () => {
  const leadsTo =
    (place: string): Fault =>
    (request, response) => {
      if (request.url === "/cells.parquet") response.writeHead(302, { location: place }).end();
      return request.url === "/cells.parquet";
    };

  it("is followed, and the other host is noted", async () => {
    const other = await RangeServer.start(bytes);
    server.fault = leadsTo(other.url("elsewhere"));
    const file = await HttpFile.open(server.url(), quick);
    expect(await file.read(7, 3)).toEqual(bytes.slice(7, 10));
    expect(file.notes).toEqual([
      `the address leads to ${new URL(other.url()).host}, where the data are read from`,
    ]);
    expect(other.requests).toHaveLength(2);
    await other.stop();
  });

  it("is followed without a note on its own host", async () => {
    server.fault = leadsTo("/elsewhere");
    const file = await HttpFile.open(server.url(), quick);
    expect(file.notes).toEqual([]);
  });

  it("is given up after a few steps that lead nowhere", async () => {
    server.fault = leadsTo("/cells.parquet");
    await expect(HttpFile.open(server.url(), quick)).rejects.toMatchObject({ code: "DATA_UNREADABLE" });
    expect(server.requests.length).toBe(6);
  });

  it.each(["ftp://127.0.0.1/cells", "file:///etc/passwd", "http://["])(
    "is not followed to %s",
    async (place) => {
      server.fault = leadsTo(place);
      await expect(HttpFile.open(server.url(), quick)).rejects.toMatchObject({ code: "DATA_UNREADABLE" });
      expect(server.requests.length).toBe(1);
    },
  );

  it("is not followed from https to http", async () => {
    const answers = vi
      .spyOn(globalThis, "fetch")
      .mockImplementation(
        async () => new Response(null, { status: 302, headers: { location: server.url() } }),
      );
    await expect(HttpFile.open("https://example.org/cells", quick)).rejects.toThrow(/from https to http/);
    expect(answers).toHaveBeenCalledTimes(1);
    answers.mockRestore();
    expect(server.requests.length).toBe(0);
  });
});

describe("an address with a password", () => {
  const withSecrets = () =>
    server.url().replace("//", "//ann:s3cret%21@").concat("?X-Amz-Signature=deadbeef&v=1");

  it("is asked for with it, and said without it", async () => {
    let seen: string | undefined;
    let path: string | undefined;
    server.fault = (request) => {
      seen = request.headers.authorization;
      path = request.url;
      return false;
    };
    const file = await HttpFile.open(withSecrets(), quick);
    expect(Buffer.from(seen?.split(" ")[1] ?? "", "base64").toString()).toBe("ann:s3cret!");
    expect(path).toBe("/cells.parquet?X-Amz-Signature=deadbeef&v=1");
    expect(file.name).toBe(server.url().replace("//", "//***@").concat("?X-Amz-Signature=***&v=1"));
    // What is known by that name can be opened again in this process.
    await HttpFile.open(file.name, quick);
    expect(seen).toMatch(/^Basic /);
    server.fault = isBusy;
    const error = await file.read(0, 10).catch(String);
    expect(error).toMatch(/DATA_UNREADABLE/);
    expect(error).not.toMatch(/s3cret|deadbeef/);
  });

  it("gives its password to no other host", async () => {
    const other = await RangeServer.start(bytes);
    let seen: string | undefined = "none";
    other.fault = (request) => {
      seen = request.headers.authorization;
      return false;
    };
    server.fault = (_, response) => {
      response.writeHead(302, { location: other.url() }).end();
      return true;
    };
    await HttpFile.open(withSecrets(), quick);
    expect(seen).toBeUndefined();
    await other.stop();
  });

  it("from a record, which does not have it, cannot be opened, and the error says why", async () => {
    await expect(HttpFile.open("https://***@data.example/cells?sig=***", quick)).rejects.toThrow(
      /DATA_UNREADABLE.*give the address in full/,
    );
  });

  it("is in neither the name, the notes nor the record of the cells that it leads to, but in what threads are given", async () => {
    const folder = new URL("../../fixtures/tahoe/", import.meta.url).pathname;
    server.fault = (request) => {
      server.bytes = readFileSync(folder + (request.url?.split("?")[0]?.slice(1) ?? ""));
      return false;
    };
    const address = (name: string) => server.url(name).replace("//", "//ann:s3cret@").concat("?sig=deadbeef");
    using source = await openCells(address("snappy.parquet"), {
      geneTable: address("gene_metadata.parquet"),
    });
    const record = await recordData(source, { where: null, heldOut: null });
    expect(JSON.stringify([source.name, source.notes, record])).not.toMatch(/s3cret|deadbeef/);
    expect(source.descriptor()).toMatchObject({
      path: address("snappy.parquet"),
      options: { geneTable: address("gene_metadata.parquet") },
    });
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
