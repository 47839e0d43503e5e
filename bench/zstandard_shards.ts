/** Parquet shards compressed by Zstandard, which the package's own writer does not offer, for benchmarks of reading. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import Zstd from "numcodecs/zstd";
import { uncompress } from "snappy";
import { LocalFile } from "../lib/data/io/random_access_local.js";
import { readFooter } from "../lib/data/parquet/footer.js";
import { encodeFooter, type WrittenGroup } from "../lib/data/parquet/footer_write.js";
import { MAGIC } from "../lib/data/parquet/format.js";
import { parsePageHeader } from "../lib/data/parquet/pages.js";
import { ThriftWriter } from "../lib/data/parquet/thrift_write.js";

const ZSTANDARD = 6;
const zstandard = Zstd.fromConfig({ id: "zstd", level: 3 });

/** Copies a folder of shards that `writeShards` wrote, each page compressed anew. */
export async function recompressShards(folder: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const name of await readdir(folder)) {
    if (name.startsWith("train-")) await recompress(join(folder, name), join(target, name));
    else await copyFile(join(folder, name), join(target, name));
  }
}

async function recompress(path: string, target: string): Promise<void> {
  const file = await LocalFile.open(path);
  const footer = await readFooter(file);
  file.close();
  const bytes = await readFile(path);
  const pieces: Uint8Array[] = [MAGIC];
  let offset = MAGIC.length;
  const groups: WrittenGroup[] = [];
  for (const [group, rows] of footer.rowGroups.rows.entries()) {
    const written: WrittenGroup["columns"][number][] = [];
    for (const leaf of footer.leaves.keys()) {
      const chunk = footer.rowGroups.column(group, leaf) ?? { values: 0, offset: 0, bytes: 0 };
      const column = await recompressColumn(bytes.subarray(chunk.offset, chunk.offset + chunk.bytes));
      const length = column.pieces.reduce((sum, piece) => sum + piece.length, 0);
      const { dataOffset } = column;
      written.push({
        values: chunk.values,
        encodings: [0, 3, 8],
        uncompressedBytes: 0,
        dataOffset,
        offset,
        bytes: length,
      });
      pieces.push(...column.pieces);
      offset += length;
    }
    groups.push({ rows, columns: written });
  }
  const leaves = footer.leaves.map(({ path: names, physical, maxRepetition }) => ({
    path: names,
    physical,
    list: maxRepetition > 0,
  }));
  await writeFile(target, Buffer.concat([...pieces, encodeFooter(leaves, footer.rows, groups, ZSTANDARD)]));
}

async function recompressColumn(bytes: Uint8Array): Promise<{ pieces: Uint8Array[]; dataOffset: number }> {
  const pieces: Uint8Array[] = [];
  let dataOffset = 0;
  for (let at = 0; at < bytes.length; ) {
    const page = parsePageHeader(bytes, at);
    const start = at + page.headerBytes;
    at = start + page.compressedBytes;
    const plain = await uncompress(bytes.subarray(start, at), { asBuffer: true });
    const body = await zstandard.encode(Buffer.from(plain));
    const isDictionary = page.kind === "dictionary";
    const header = new ThriftWriter();
    header.i32(1, isDictionary ? 2 : 0);
    header.i32(2, page.uncompressedBytes);
    header.i32(3, body.length);
    header.i32(4, crc32(body) | 0);
    header.struct(isDictionary ? 7 : 5, () => {
      header.i32(1, page.values);
      header.i32(2, page.encoding);
      if (isDictionary) return;
      header.i32(3, 3);
      header.i32(4, 3);
    });
    header.end();
    pieces.push(header.bytes, body);
    if (isDictionary) dataOffset = header.bytes.length + body.length;
  }
  return { pieces, dataOffset };
}
