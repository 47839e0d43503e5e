import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../../lib/base/crc32c.js";
import { openCells } from "../../../lib/data/open/open_cells.js";
import { framesOf } from "../../../lib/data/sources/frames.js";
import { zipArchive } from "../io/zip_support.js";
import { CELLS, COUNTS, denseAll, denseRows, failure, temporaryFolder, zarrFixture } from "../support.js";

const LAYER = { layer: "counts" };

/** A copy of a store in a folder, to be changed. */
function copy(name = "v3_sharded.zarr"): string {
  const path = join(temporaryFolder(), "cells.zarr");
  cpSync(zarrFixture(name), path, { recursive: true });
  return path;
}

/** The metadata of an array in shards, and of a group. */
interface Document {
  shape: number[];
  data_type: string;
  chunk_grid: { configuration: { chunk_shape: number[] } };
  codecs: {
    name: string;
    configuration: { endian?: string; chunk_shape?: number[]; codecs?: { name: string }[] };
  }[];
  attributes: Record<string, unknown>;
}

/** The copied store (or that at `path`) with its metadata at `place` changed. */
function changed(place: string, change: (document: Document) => void, path = copy()): string {
  const file = join(path, place, "zarr.json");
  const document = JSON.parse(readFileSync(file, "utf8")) as Document;
  change(document);
  writeFileSync(file, JSON.stringify(document));
  return path;
}

it("ordered categories stay ordered in the frames that are written again", async () => {
  using source = await openCells(zarrFixture("v2_csr.zarr"), LAYER);
  const { obs } = await framesOf(source);
  expect(obs.columns.get("stage")).toMatchObject({ kind: "categories", ordered: true });
  expect(obs.columns.get("cell_type")).toMatchObject({ kind: "categories", ordered: false });
});

it("reads that run at the same time do not disturb each other", async () => {
  for (const name of ["v3_sharded.zarr", "v3_sharded.zarr.zip", "v2_csc.zarr.zip"]) {
    using source = await openCells(zarrFixture(name), LAYER);
    const reads = CELLS.map((_, row) => denseRows(source, [row, 5 - row]));
    expect(await Promise.all(reads)).toEqual(CELLS.map((_, row) => [COUNTS[row], COUNTS[5 - row]]));
  }
});

it("archives of more than 4 GiB, archives with a folder around the store and comments at the end are read", async () => {
  const root = zarrFixture("v3_sharded.zarr");
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  const inFolder = (folder: string) =>
    paths.map((path) => ({ name: folder + path.slice(root.length + 1), bytes: readFileSync(path) }));
  const commented = zipArchive(inFolder(""));
  commented.writeUInt16LE(5, commented.length - 2);
  const archives = [
    zipArchive(inFolder(""), true),
    zipArchive([{ name: "notes/readme.txt", bytes: Buffer.from("x") }, ...inFolder("cells.zarr/")]),
    Buffer.concat([commented, Buffer.from("hello")]),
  ];
  for (const bytes of archives) {
    const path = join(temporaryFolder(), "cells.zip");
    writeFileSync(path, bytes);
    using source = await openCells(path, LAYER);
    expect(await denseAll(source)).toEqual(COUNTS);
  }
});

it("bounds of parts ascend from the first row to the last", async () => {
  for (const name of ["v2_csr.zarr.zip", "v2_csc.zarr.zip", "v2_dense.zarr.zip"]) {
    using source = await openCells(zarrFixture(name), LAYER);
    expect([...source.partBounds]).toEqual([0, 6]);
  }
});

describe("each fault has its code and says where", () => {
  it.each<[string, () => string, string, string]>([
    [
      "no obs",
      () => {
        const path = copy();
        rmSync(join(path, "obs"), { recursive: true });
        return path;
      },
      "DATA_FORMAT",
      "has no /obs",
    ],
    [
      "a terabyte in one chunk",
      () =>
        changed("layers/counts/data", (node) => {
          node.shape = [2 ** 40];
          node.chunk_grid.configuration.chunk_shape = [2 ** 40];
          node.codecs[0]!.configuration.chunk_shape = [2 ** 40];
        }),
      "DATA_TOO_LARGE",
      "at most 1 GiB a chunk",
    ],
    [
      "a terabyte in one shard",
      () =>
        changed("layers/counts/data", (node) => {
          node.chunk_grid.configuration.chunk_shape = [2 ** 40];
        }),
      "DATA_TOO_LARGE",
      "layers/counts/data",
    ],
    [
      "two billion cells",
      () => {
        const path = changed("layers/counts", (node) => {
          node.attributes.shape = [2 ** 31 - 2, 5];
        });
        return changed("layers/counts/indptr", (node) => Object.assign(node, { shape: [2 ** 31 - 1] }), path);
      },
      "DATA_CORRUPT",
      "claims 17179869176 bytes",
    ],
    [
      "more cells than can be numbered",
      () =>
        changed("layers/counts", (node) => {
          node.attributes.shape = [2 ** 40, 5];
        }),
      "DATA_TOO_LARGE",
      "at most 2^31 - 1 cells",
    ],
    [
      "no shape",
      () => changed("layers/counts", (node) => delete node.attributes.shape),
      "DATA_CORRUPT",
      "no shape of cells by genes",
    ],
    [
      "another encoding",
      () =>
        changed("layers/counts", (node) => {
          node.attributes["encoding-type"] = "awkward-array";
        }),
      "DATA_FORMAT",
      '"awkward-array"',
    ],
    [
      "an unknown codec",
      () =>
        changed("layers/counts/data", (node) => {
          node.codecs[0]!.configuration.codecs![1]!.name = "pcodec";
        }),
      "DATA_FORMAT",
      "pcodec",
    ],
    [
      "text for counts",
      () =>
        changed("layers/counts/data", (node) => {
          node.data_type = "string";
        }),
      "DATA_TYPE",
      "does not hold numbers",
    ],
    [
      "an unknown type",
      () =>
        changed("layers/counts/data", (node) => {
          node.data_type = "complex64";
        }),
      "DATA_FORMAT",
      "complex64",
    ],
    [
      "no indices",
      () => {
        const path = copy();
        rmSync(join(path, "layers/counts/indices"), { recursive: true });
        return path;
      },
      "DATA_CORRUPT",
      "/layers/counts/indices: is missing",
    ],
    [
      "metadata that is no JSON",
      () => {
        const path = copy();
        writeFileSync(join(path, "obs/zarr.json"), "{");
        return path;
      },
      "DATA_CORRUPT",
      "/obs/zarr.json: is no JSON object",
    ],
    [
      "a shard that was cut short",
      () => {
        const path = copy();
        const shard = join(path, "layers/counts/data/c/0");
        writeFileSync(shard, readFileSync(shard).subarray(0, 40));
        return path;
      },
      "DATA_CORRUPT",
      "layers/counts/data",
    ],
    [
      "a shard whose index was changed",
      () => {
        const path = copy();
        const shard = join(path, "layers/counts/data/c/0");
        const bytes = readFileSync(shard);
        bytes[bytes.length - 20]! ^= 1;
        writeFileSync(shard, bytes);
        return path;
      },
      "DATA_CORRUPT",
      "checksum",
    ],
  ])("%s", async (_, make, code, text) => {
    const error = await failure(async () => {
      using source = await openCells(make(), LAYER);
      await denseAll(source);
      await source.metadata();
    });
    expect(error.message).toContain(text);
    expect(error.code).toBe(code);
  });

  it("a layer that there is not", async () => {
    const error = await failure(() => openCells(zarrFixture("v2_csr.zarr"), { layer: "umis" }));
    expect(error.code).toBe("DATA_MISSING_LAYER");
    expect(error.message).toContain("it has counts");
    expect((await failure(() => openCells(zarrFixture("v2_csr.zarr"), { raw: true }))).code).toBe(
      "DATA_MISSING_MATRIX",
    );
  });

  it("a zip archive that was cut short, changed or holds something else", async () => {
    const path = join(temporaryFolder(), "cells.zip");
    const whole = readFileSync(zarrFixture("v3_sharded.zarr.zip"));
    writeFileSync(path, whole.subarray(0, whole.length - 30));
    expect((await failure(() => openCells(path))).code).toBe("DATA_TRUNCATED");
    const entry = whole.indexOf("layers/counts/zarr.json");
    whole[entry + 40]! ^= 4;
    writeFileSync(path, whole);
    const error = await failure(() => openCells(path, LAYER));
    expect(error.code).toBe("DATA_CORRUPT");
    expect(error.message).toContain("layers/counts/zarr.json");
    // An archive without any file.
    writeFileSync(
      path,
      Buffer.concat([Buffer.from("PK\x03\x04"), Buffer.from("PK\x05\x06"), Buffer.alloc(18)]),
    );
    expect((await failure(() => openCells(path))).code).toBe("DATA_FORMAT");
  });
});

it("a chunk that decompresses to more than it can hold is refused before memory is taken for it", async () => {
  // 256 MiB of zeros in place of 13 numbers; the Zstandard frame claims a terabyte.
  const zstd = Buffer.from("28b52ffde000000000000100000100000000", "hex");
  const bombs: readonly [string, Buffer][] = [
    ["gzip", gzipSync(Buffer.alloc(1 << 28))],
    ["zlib", deflateSync(Buffer.alloc(1 << 28))],
    ["zstd", zstd],
    ["blosc", Buffer.from("02019104000000f000000100120000000000", "hex")],
    ["lz4", Buffer.from("000000f010000000", "hex")],
  ];
  for (const [name, bytes] of bombs) {
    const path = changed("layers/counts/data", (node) => {
      node.codecs = [
        { name: "bytes", configuration: { endian: "little" } },
        { name, configuration: {} },
      ];
      node.chunk_grid.configuration.chunk_shape = [13];
    });
    writeFileSync(join(path, "layers/counts/data/c/0"), bytes);
    const before = process.memoryUsage().arrayBuffers;
    const error = await failure(() => openCells(path, LAYER));
    expect(error.code, name).toBe("DATA_CORRUPT");
    expect(error.message, name).toMatch(/claims \d+ bytes where|larger than/);
    expect(process.memoryUsage().arrayBuffers - before, name).toBeLessThan(1 << 27);
  }
});

it("the checksum of a shard's index is CRC-32C", () => {
  // The check value of the Rocksoft model, and a vector of RFC 3720, appendix B.4.
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
});
