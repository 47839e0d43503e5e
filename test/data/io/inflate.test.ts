import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { compressFrame, compress as lz4Compress } from "lz4-napi";
import Zstd from "numcodecs/zstd";
import { compress as snappyCompress } from "snappy";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../../lib/base/errors.js";
import { type Codec, inflate, inflateUpTo, namedErrors } from "../../../lib/data/io/inflate.js";

/** Compressors of other hands. */
const COMPRESS: Readonly<Partial<Record<Codec, (bytes: Buffer) => Uint8Array | Promise<Uint8Array>>>> = {
  gzip: gzipSync,
  zlib: deflateSync,
  deflate: deflateRawSync,
  brotli: brotliCompressSync,
  snappy: (bytes) => snappyCompress(bytes),
  lz4: async (bytes) => (await lz4Compress(bytes)).subarray(4),
  "lz4-frame": (bytes) => compressFrame(bytes, { contentChecksum: true, blockChecksums: true }),
  zstd: (bytes) => Zstd.fromConfig({ id: "zstd", level: 19 }).encode(bytes),
};
const codecs = Object.entries(COMPRESS) as [Codec, (bytes: Buffer) => Promise<Uint8Array>][];

/** Bytes with repetitions near and far, runs and noise. */
function mixedBytes(size: number): Buffer {
  let state = 12_345;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const end = Math.min(size, at + 1 + random(200));
    const kind = random(3);
    for (; at < end; at++)
      bytes[at] = kind === 0 ? random(256) : kind === 1 && at > 300 ? (bytes[at - 299] ?? 0) : 7;
  }
  return bytes;
}

/** The most memory that the process has had so far, bytes. */
function mostMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
}

describe.each(codecs)("%s", (codec, compress) => {
  it.each([0, 1, 3, 64, 1000, 65_535, 65_536, 65_537, 300_000])("gives back %i bytes", async (size) => {
    const bytes = mixedBytes(size);
    expect(Buffer.from(await inflate(codec, await compress(bytes), size)).equals(bytes)).toBe(true);
  });

  it("refuses data of another size than was said, and gives what is less than the most", async () => {
    const bytes = mixedBytes(1000);
    const compressed = await compress(bytes);
    for (const size of [0, 999, 1001])
      await expect(inflate(codec, compressed, size)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    expect(Buffer.from(await inflateUpTo(codec, compressed, 1500)).equals(bytes)).toBe(true);
  });

  it("refuses damaged data, or gives as many bytes as were asked for", async () => {
    const compressed = await compress(mixedBytes(2000));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(compressed.length),
        fc.array(fc.tuple(fc.nat(compressed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (length, changes, cut) => {
          const damaged = Uint8Array.from(compressed);
          for (const [at, byte] of changes) damaged[at] = byte;
          try {
            const result = await inflate(codec, damaged.subarray(0, cut ? length : undefined), 2000);
            expect(result.length).toBe(2000);
          } catch (error) {
            expect(error).toBeInstanceOf(DdscError);
          }
        },
      ),
      { numRuns: 500, seed: 5 },
    );
  });

  it("takes no memory for what its bytes cannot hold", async () => {
    const compressed = await compress(mixedBytes(64));
    const before = mostMemory();
    await expect(inflate(codec, compressed, 2 ** 31 - 1)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    expect(mostMemory() - before).toBeLessThan(2 ** 28);
    await expect(inflate(codec, compressed, 2 ** 31)).rejects.toMatchObject({ code: "DATA_TOO_LARGE" });
  });
});

describe("a Snappy block", () => {
  it("that claims 4 GiB is refused before memory is taken for it", async () => {
    const block = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0);
    await expect(inflateUpTo("snappy", block, 2 ** 31 - 1)).rejects.toMatchObject({
      code: "DATA_CORRUPT",
      message: expect.stringContaining("claims 4294967295 bytes where at most 192 are possible"),
    });
  });
});

describe("an LZ4 block", () => {
  it("decodes literals and matches that overlap", async () => {
    // Five literals, a match of 20 bytes three back, two literals.
    const block = Uint8Array.of(0x5f, 97, 98, 99, 100, 101, 3, 0, 1, 0x20, 120, 121);
    expect(Buffer.from(await inflate("lz4", block, 27)).toString()).toBe("abcdecdecdecdecdecdecdecdxy");
  });
});

describe("LZ4 frames", () => {
  // "abcdefgh12345678" as it is; a match of 8 bytes 16 back and "zzzzz". Checksums of blocks and content.
  const frame = Buffer.from(
    "04224d185440ae1000008061626364656667683132333435363738" +
      "3d8e31eb09000000041000507a7a7a7a7ad22d1a6800000000f5ea470f",
    "hex",
  );
  const content = "abcdefgh12345678abcdefghzzzzz";

  it("decode blocks that refer to the one before, one frame after another, others passed over", async () => {
    const skipped = Buffer.from("502a4d1803000000010203", "hex");
    const twice = await inflate("lz4-frame", Buffer.concat([frame, skipped, frame, skipped]), 58);
    expect(Buffer.from(twice).toString()).toBe(content + content);
  });

  it("compare every checksum, and are refused cut off anywhere", async () => {
    for (const at of frame.keys()) {
      const damaged = Buffer.from(frame);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await expect(inflate("lz4-frame", damaged, 29), `byte ${at}`).rejects.toMatchObject({
        code: "DATA_CORRUPT",
      });
      const cut = inflate("lz4-frame", frame.subarray(0, at), 29);
      await expect(cut, `cut at ${at}`).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    }
  });

  it("that grow far beyond what was said are refused before they do", async () => {
    const bomb = await compressFrame(Buffer.alloc(2 ** 28));
    await expect(inflate("lz4-frame", bomb, 1000)).rejects.toMatchObject({
      code: "DATA_CORRUPT",
      message: expect.stringMatching(/claims \d+ bytes where at most 67112864 are possible/),
    });
  });
});

describe("an error", () => {
  it("names the file and what to do once it is known", async () => {
    const reading = namedErrors("cells.parquet", () => inflate("gzip", Uint8Array.of(1, 2), 7));
    await expect(reading).rejects.toMatchObject({
      code: "DATA_CORRUPT",
      place: { file: "cells.parquet" },
      message: expect.stringMatching(
        /^DATA_CORRUPT: cells\.parquet: .*gzip.*; fetch or write the file again$/,
      ),
    });
  });
});
