import {
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BLOCK_BYTES, BlockCache, SLOT_BYTES } from "../../../lib/data/io/cache/block_cache.js";
import { CachedFile } from "../../../lib/data/io/cache/cached_file.js";
import { HttpFile } from "../../../lib/data/io/random_access_http.js";
import { openRandomAccess } from "../../../lib/data/io/random_access_open.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { RangeServer } from "./http_server.js";

/** Five blocks, the first of them a short one. */
const bytes = Uint8Array.from({ length: 4 * BLOCK_BYTES + 1000 }, (_, i) => (i * 31 + (i >> 9)) & 255);
const quick = { pauseMs: 1, tries: 3 };
let server: RangeServer;
let folder: string;

beforeEach(async () => {
  server = await RangeServer.start(bytes);
  folder = await mkdtemp(join(tmpdir(), "ddsc-cache-"));
  vi.stubEnv("DDSC_CACHE_DIR", folder);
  vi.stubEnv("DDSC_CACHE_BYTES", "16M");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `toEqual` takes seconds for as many numbers. */
function expectSame(read: Uint8Array | undefined, wanted: Uint8Array): void {
  expect(read?.length).toBe(wanted.length);
  expect(Buffer.compare(read ?? Buffer.alloc(0), wanted)).toBe(0);
}

/** Files in the cache. */
function blocks(): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function bytesHeld(): number {
  return blocks().reduce((sum, path) => sum + statSync(path).size, 0);
}

describe("a file behind an address, with a cache", () => {
  it("is asked for once, by whole blocks, and then only which version it is", async () => {
    const file = await openRandomAccess(server.url(), quick);
    expect(await file.read(0, 8)).toEqual(bytes.slice(0, 8));
    expect(await file.read(999, 3)).toEqual(bytes.slice(999, 1002));
    expectSame(await file.read(500, 2 * BLOCK_BYTES), bytes.slice(500, 500 + 2 * BLOCK_BYTES));
    expect(await file.read(bytes.length - 10, 10)).toEqual(bytes.slice(-10));
    expect(await file.read(77, 0)).toEqual(new Uint8Array(0));
    const ends = [0, 1000, 1000 + BLOCK_BYTES, 1000 + 2 * BLOCK_BYTES];
    expect(server.requests.map((request) => request.split("=")[1])).toEqual([
      "0-7",
      `0-${ends[2]! - 1}`,
      `${ends[2]}-${ends[3]! - 1}`,
      `${1000 + 3 * BLOCK_BYTES}-${bytes.length - 1}`,
    ]);
    file.close();
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: "DATA_CLOSED" });
    const again = await openRandomAccess(server.url(), quick);
    expectSame(await again.read(500, 2 * BLOCK_BYTES), bytes.slice(500, 500 + 2 * BLOCK_BYTES));
    expect(server.requests).toHaveLength(5);
  });

  it.each([
    ["was changed", (path: string, held: Buffer) => writeFileSync(path, held.fill(7, 5000, 5001))],
    ["was cut short", (path: string) => truncateSync(path, 70_000)],
    ["is empty", (path: string) => truncateSync(path, 0)],
    ["is too long", (path: string, held: Buffer) => writeFileSync(path, Buffer.concat([held, Buffer.of(1)]))],
    [
      "is another's",
      (path: string) => writeFileSync(path, readFileSync(blocks().find((one) => one !== path)!)),
    ],
  ] as const)("is asked for again where a block %s", async (_, spoil) => {
    await (await openRandomAccess(server.url(), quick)).read(1000, 2 * BLOCK_BYTES);
    const [path = ""] = blocks();
    spoil(path, readFileSync(path));
    const asked = server.requests.length;
    const again = await openRandomAccess(server.url(), quick);
    expectSame(await again.read(1000, 2 * BLOCK_BYTES), bytes.slice(1000, 1000 + 2 * BLOCK_BYTES));
    // To open it, and for one block.
    expect(server.requests.length).toBe(asked + 2);
    await again.read(1000, 2 * BLOCK_BYTES);
    expect(server.requests.length).toBe(asked + 2);
  });

  it("is fetched once by all that need it at the same time", async () => {
    const files = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const cache = await BlockCache.open(folder, 16 * 2 ** 20);
        return new CachedFile(await HttpFile.open(server.url(), quick), cache);
      }),
    );
    const opened = server.requests.length;
    const read = await Promise.all(files.map((file) => file.read(1000, 3 * BLOCK_BYTES)));
    for (const one of read) expectSame(one, bytes.subarray(1000, 1000 + 3 * BLOCK_BYTES));
    expect(server.requests.length - opened).toBe(1);
  });

  it("is fetched by one that waited for another in vain, and is not waited for after a kill", async () => {
    const cache = await BlockCache.open(folder, 16 * 2 ** 20);
    const lost = await cache.claim("a");
    const stop = new AbortController();
    const waiting = cache.claim("a", stop.signal);
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow(/enough|abort/i);
    const next = cache.claim("a");
    await lost.release();
    expect((await next).waited).toBe(true);
    // As old as that of a process that was killed.
    const [claim = ""] = blocks();
    utimesSync(claim, 1, 1);
    await (await cache.claim("a")).release();
    expect(blocks()).toEqual([]);
  });

  it("is never mixed with another version of it", async () => {
    const file = await openRandomAccess(server.url(), quick);
    await file.read(1000, BLOCK_BYTES);
    server.bytes = bytes.map((byte) => byte ^ 255);
    server.etag = '"two"';
    expect(await file.read(1000, 5)).toEqual(bytes.slice(1000, 1005));
    await expect(file.read(1000, 2 * BLOCK_BYTES)).rejects.toMatchObject({ code: "DATA_CHANGED" });
    const changed = await openRandomAccess(server.url(), quick);
    expect(await changed.read(1000, 5)).toEqual(server.bytes.slice(1000, 1005));
  });

  it("is not kept where the server does not say which version it is", async () => {
    server.fault = (request, response) => {
      const [, first = 0, last = 0] = /(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      response.writeHead(206, { "content-range": `bytes ${first}-${last}/${bytes.length}` });
      response.end(bytes.subarray(Number(first), Number(last) + 1));
      return true;
    };
    expect(await openRandomAccess(server.url(), quick)).toBeInstanceOf(HttpFile);
    expect(blocks()).toEqual([]);
  });

  it("is the same file with another signature, but not with another parameter", async () => {
    const signed = (signature: string, version: number) =>
      `${server.url()}?v=${version}&X-Amz-Date=${signature}&X-Amz-Signature=${signature}`;
    await (await openRandomAccess(signed("one", 1), quick)).read(1000, 10);
    expect(blocks()).toHaveLength(1);
    await (await openRandomAccess(signed("two", 1), quick)).read(1000, 10);
    expect(blocks()).toHaveLength(1);
    await (await openRandomAccess(signed("two", 2), quick)).read(1000, 10);
    expect(blocks()).toHaveLength(2);
  });
});

describe("a cache that cannot be written", () => {
  const cells = new URL("../../fixtures/tahoe/", import.meta.url).pathname;
  beforeEach(() => {
    server.fault = (request) => {
      server.bytes = readFileSync(cells + (request.url?.slice(1) ?? ""));
      return false;
    };
  });

  it("is gone on without, and one note says why", async () => {
    writeFileSync(join(folder, "file"), "");
    vi.stubEnv("DDSC_CACHE_DIR", join(folder, "file"));
    using source = await openCells([server.url("snappy.parquet"), server.url("gzip_plain.parquet")]);
    await source.read(Int32Array.of(0, 1, 40));
    expect(source.notes.filter((note) => note.includes("DDSC_CACHE_DIR"))).toHaveLength(1);
  });

  it("from some time on, is gone on without and noted, too", async () => {
    using source = await openCells(server.url("snappy.parquet"));
    expect(source.notes).toEqual([]);
    // As if the disk had been taken away.
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "");
    const { offsets } = await source.read(Int32Array.from({ length: 30 }, (_, i) => i));
    expect(offsets).toHaveLength(31);
    expect(source.notes).toEqual([expect.stringMatching(/^nothing more is kept in the cache .*ENOTDIR/)]);
  });

  it.each(["0", "-5", "10X", "lots", "1.5G", "1000", "99999999999T"])(
    "of the size %s is refused",
    async (size) => {
      vi.stubEnv("DDSC_CACHE_BYTES", size);
      await expect(openRandomAccess(server.url("snappy.parquet"), quick)).rejects.toMatchObject({
        code: "CACHE_BYTES",
        message: expect.stringContaining("DDSC_CACHE_BYTES"),
      });
      expect(server.requests).toEqual([]);
    },
  );
});

describe("a cache of bounded size", () => {
  const block = (byte: number) => new Uint8Array(BLOCK_BYTES).fill(byte);

  it("lets go of what was used longest ago", async () => {
    const cache = await BlockCache.open(folder, 3 * SLOT_BYTES);
    for (const name of [1, 2, 3]) {
      await cache.put(`${name}`, block(name));
      await setTimeout(20);
    }
    expectSame(await cache.get("1", BLOCK_BYTES), block(1));
    await setTimeout(20);
    await cache.put("4", block(4));
    const there = await Promise.all([1, 2, 3, 4].map((name) => cache.get(`${name}`, BLOCK_BYTES)));
    expect(there.map((found) => found?.[0])).toEqual([1, undefined, 3, 4]);
  });

  it("stays within its bound, whatever is read of it", async () => {
    for (const slots of [1, 2, 17, 40]) {
      const bytesAllowed = slots * SLOT_BYTES;
      const cache = await BlockCache.open(folder, bytesAllowed);
      for (let name = 0; name < 60; name++) {
        await cache.put(`${name}`, block(name));
        expect(bytesHeld()).toBeLessThanOrEqual(bytesAllowed);
      }
      expect((await cache.get("59", BLOCK_BYTES))?.[0]).toBe(59);
      expect(blocks().length).toBeGreaterThan(slots / 3);
    }
  });

  it("is shared by several that write at the same time: what is there is whole, and at most a block each above the bound", async () => {
    const slots = 24;
    const caches = await Promise.all([1, 2, 3, 4].map(() => BlockCache.open(folder, slots * SLOT_BYTES)));
    let most = 0;
    let found = 0;
    await Promise.all(
      caches.map(async (cache, i) => {
        for (let turn = 0; turn < 100; turn++) {
          const name = (turn * (i + 3) * 7) % 50;
          const held = await cache.get(`${name}`, BLOCK_BYTES);
          if (held === undefined) await cache.put(`${name}`, block(name));
          else if (held.every((byte) => byte === name)) found++;
          else throw new Error(`block ${name} is another's`);
          most = Math.max(most, blocks().length);
        }
      }),
    );
    expect(found).toBeGreaterThan(10);
    expect(most).toBeLessThanOrEqual(slots + caches.length);
    expect(blocks().length).toBeLessThanOrEqual(slots);
  });

  it("removes what it kept under another bound, and nothing else", async () => {
    writeFileSync(join(folder, "notes.txt"), "mine");
    await (await BlockCache.open(folder, 20 * SLOT_BYTES)).put("a", block(1));
    await BlockCache.open(folder, 40 * SLOT_BYTES);
    expect(blocks()).toEqual([join(folder, "notes.txt")]);
  });

  it("gives the file's bytes whatever it holds of it", async () => {
    const file = await HttpFile.open(server.url(), quick);
    const cached = new CachedFile(file, await BlockCache.open(folder, 2 * SLOT_BYTES));
    for (let turn = 0; turn < 40; turn++) {
      const offset = (turn * 77_777) % bytes.length;
      const length = Math.min((turn * 123_457) % (3 * BLOCK_BYTES), bytes.length - offset);
      expect(Buffer.compare(await cached.read(offset, length), bytes.subarray(offset, offset + length))).toBe(
        0,
      );
    }
  });
});
