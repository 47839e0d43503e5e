import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ZipArchive } from "../../../lib/data/io/zip.js";
import { temporaryFolder } from "../support.js";
import { zipArchive } from "./zip_support.js";

const text = Buffer.from("counts ".repeat(100));
const deflated = deflateRawSync(text);

function archiveFile(bytes: Uint8Array): string {
  const path = join(temporaryFolder(), "cells.zip");
  writeFileSync(path, bytes);
  return path;
}

/** An archive of one file, deflated. */
function compressedArchive(): Buffer {
  const archive = zipArchive([{ name: "a", bytes: deflated }]);
  for (const at of [8, archive.indexOf("PK\x01\x02") + 10]) {
    archive.writeUInt16LE(8, at);
    archive.writeUInt32LE(crc32(text), at + 6);
    archive.writeUInt32LE(text.length, at + 14);
  }
  return archive;
}

describe("a zip archive", () => {
  it("gives any part of a file, stored or compressed, and the last one of a name", async () => {
    const stored = zipArchive([
      { name: "a", bytes: Buffer.from("first") },
      { name: "a", bytes: text },
    ]);
    for (const bytes of [stored, compressedArchive()]) {
      const archive = await ZipArchive.open(archiveFile(bytes));
      expect(archive.size("a")).toBe(text.length);
      expect(Buffer.from(await archive.read("a", 0, text.length)).equals(text)).toBe(true);
      expect(Buffer.from(await archive.read("a", 7, 6)).toString()).toBe("counts");
      await expect(archive.read("a", 690, 20)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
      archive.close();
    }
  });

  it("whose bytes do not fit their checksum, or do not decompress, is refused when they are read", async () => {
    const stored = zipArchive([{ name: "a", bytes: text }]);
    stored[100]! ^= 1;
    const changed = compressedArchive();
    changed[35]! ^= 1;
    const wrong = compressedArchive();
    wrong.writeUInt32LE(7, wrong.indexOf("PK\x01\x02") + 16);
    const longer = compressedArchive();
    longer.writeUInt32LE(text.length + 1, longer.indexOf("PK\x01\x02") + 24);
    for (const bytes of [stored, changed, wrong, longer]) {
      const path = archiveFile(bytes);
      const archive = await ZipArchive.open(path);
      await expect(archive.read("a", 0, archive.size("a") ?? 0)).rejects.toMatchObject({
        code: "DATA_CORRUPT",
        place: { file: path },
        message: expect.stringMatching(
          /holds a, (whose bytes are not|which cannot be decompressed).*fetch or write it/,
        ),
      });
      archive.close();
    }
  });

  it("with an encrypted file or an unknown compression is refused, with what to do", async () => {
    for (const [field, value] of [
      [8, 1],
      [10, 12],
    ] as const) {
      const bytes = compressedArchive();
      bytes.writeUInt16LE(value, bytes.indexOf("PK\x01\x02") + field);
      await expect(ZipArchive.open(archiveFile(bytes))).rejects.toMatchObject({
        code: "DATA_FORMAT",
        message: expect.stringContaining("unpack the archive"),
      });
    }
  });

  it("that was cut short, or whose list is damaged, is refused", async () => {
    const whole = zipArchive([{ name: "a", bytes: text }]);
    const cut = ZipArchive.open(archiveFile(whole.subarray(0, whole.length - 5)));
    await expect(cut).rejects.toMatchObject({ code: "DATA_TRUNCATED" });
    const list = Buffer.from(whole);
    list[list.indexOf("PK\x01\x02")]! ^= 1;
    await expect(ZipArchive.open(archiveFile(list))).rejects.toMatchObject({ code: "DATA_CORRUPT" });
    const count = Buffer.from(whole);
    count.writeUInt16LE(9, count.length - 12);
    await expect(ZipArchive.open(archiveFile(count))).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  });

  it("with names that would lead out of a folder is read: names are no paths here", async () => {
    const archive = await ZipArchive.open(archiveFile(zipArchive([{ name: "../../a", bytes: text }])));
    expect([...archive.names()]).toEqual(["../../a"]);
    archive.close();
  });
});
