/** Damaged and hostile checkpoints of PyTorch, and the import of them, for the fuzzer and its test. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { ZipArchive } from "../lib/data/io/zip.js";
import { Denoiser, importCheckpoint } from "../lib/index.js";
import { type ArchivedFile, zipArchive } from "../test/data/io/zip_support.js";
import { damaged, type Random } from "./damaged.js";

/**
 * What is damaged: the file as it is; its pickle, in an archive whose checksums fit; the pickle by opcodes and names, of which some are
 * what malicious pickles consist of.
 */
export const CHECKPOINT_KINDS = ["archive", "pickle", "opcodes"] as const;
export type CheckpointKind = (typeof CHECKPOINT_KINDS)[number];

const FIXTURES = join(import.meta.dirname, "../test/fixtures/checkpoints");
const NAMES = [
  "lightning.ckpt",
  "averaging.ckpt",
  "bare.pt",
  "protocol4.pt",
  "half.bin",
  "double.pt",
  "strided.pt",
];

/** A checkpoint and the files in it. */
interface Original {
  readonly name: string;
  readonly bytes: Buffer;
  readonly files: readonly ArchivedFile[];
}

/** The checkpoints that are damaged. */
export async function originalCheckpoints(): Promise<readonly Original[]> {
  return await Promise.all(
    NAMES.map(async (name) => {
      const path = join(FIXTURES, name);
      const archive = await ZipArchive.open(path);
      try {
        const files: ArchivedFile[] = [];
        for (const entry of archive.names())
          files.push({ name: entry, bytes: await archive.read(entry, 0, archive.size(entry) ?? 0) });
        return { name, bytes: await readFile(path), files };
      } finally {
        archive.close();
      }
    }),
  );
}

/** Pieces that hostile pickles are made of. */
const PIECES: readonly Buffer[] = [
  ...["cos\nsystem\n", "cbuiltins\neval\n", "cposix\nsystem\n", "ctorch\nload\n", "csubprocess\nPopen\n"].map(
    (text) => Buffer.from(text),
  ),
  ...[
    "ccollections\nOrderedDict\n",
    "cbuiltins\nlist\n",
    "c_codecs\nencode\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
  ].map((text) => Buffer.from(text)),
  ...[
    "(",
    ")",
    "]",
    "}",
    "t",
    "R",
    "b",
    "\x81",
    "s",
    "u",
    "a",
    "e",
    "Q",
    "N",
    "0",
    "1",
    "2",
    ".",
    "\x93",
    "\x94",
    "\x8f",
    "\x91",
    "\x92",
  ].map((text) => Buffer.from(text, "latin1")),
  ...[
    [0x58, 0xff, 0xff, 0xff, 0x7f],
    [0x8d, 0, 0, 0, 0, 1, 0, 0, 0],
    [0x8b, 0xff, 0xff, 0xff, 0x7f],
    [0x72, 0xff, 0xff, 0xff, 0x7f],
  ].map((bytes) => Buffer.from(bytes)),
  ...[
    [0x4a, 0xff, 0xff, 0xff, 0x7f],
    [0x4a, 0, 0, 0, 0x80],
    [0x8a, 8, 0, 0, 0, 0, 0, 0, 0x10, 0],
    [0x68, 1],
    [0x68, 0],
  ].map((bytes) => Buffer.from(bytes)),
];

/** Names in pickles that others may stand in for. */
const REPLACED: readonly (readonly [string, string])[] = [
  ["FloatStorage", "DoubleStorage"],
  ["FloatStorage", "LongStorage"],
  ["_rebuild_tensor_v2", "_rebuild_tensor_v3"],
  ["OrderedDict", "defaultdict"],
  ["vocab_embed", "factor_embe"],
  ["blocks.1", "blocks.7"],
  ["state_dict", "stats_dict"],
  ["shadow_params", "shadowed_prms"],
  ["torch._utils", "os.path.abc__"],
];

/** A damaged checkpoint, the same each time for a number, and what was done. */
export function damagedCheckpoint(
  originals: readonly Original[],
  kind: CheckpointKind,
  number: number,
): { readonly bytes: Buffer; readonly change: string } {
  const stream = new RandomStream(number, Purpose.draw);
  const random: Random = (below) => stream.below(below);
  const original = originals[random(originals.length)] ?? originals[0];
  if (original === undefined) throw new RangeError("there is no checkpoint to damage");
  const { name, bytes, files } = original;
  if (kind === "archive") return { bytes: damaged(bytes, random), change: `${name}: bytes` };
  const files2 = files.map((file) => {
    if (!file.name.endsWith("/data.pkl")) return file;
    const before = Buffer.from(file.bytes);
    return {
      name: file.name,
      bytes: kind === "pickle" ? damaged(before, random) : withPieces(before, random),
    };
  });
  return { bytes: zipArchive(files2), change: `${name}: ${kind}` };
}

/** A pickle with hostile pieces in it, and names replaced. */
function withPieces(pickle: Buffer, random: Random): Buffer {
  let result = pickle;
  for (let times = 1 + random(3); times > 0; times--) {
    if (random(3) === 0) {
      const [from, to] = REPLACED[random(REPLACED.length)] ?? ["", ""];
      const places: number[] = [];
      for (let at = result.indexOf(from); at >= 0 && from !== ""; at = result.indexOf(from, at + 1))
        places.push(at);
      const at = places[random(Math.max(1, places.length))];
      if (at === undefined) continue;
      result = Buffer.concat([result.subarray(0, at), Buffer.from(to), result.subarray(at + from.length)]);
      continue;
    }
    // Mostly near the end, where the pickle up to it makes sense and little follows.
    const near =
      random(2) === 0 ? Math.max(2, result.length - 1 - random(40)) : 2 + random(result.length - 2);
    const repeats = random(8) === 0 ? 1 + random(20_000) : 1 + random(3);
    const piece = PIECES[random(PIECES.length)] ?? Buffer.alloc(0);
    const pieces = Array<Buffer>(repeats).fill(piece);
    result = Buffer.concat([result.subarray(0, near), ...pieces, result.subarray(near)]);
  }
  return result;
}

/** Imports a checkpoint and loads what came of it: "imported", or the code of the DdscError. Throws for any other error. */
export async function useCheckpoint(bytes: Buffer, folder: string): Promise<string> {
  const checkpoint = join(folder, "damaged.ckpt");
  const out = join(folder, "model");
  await writeFile(checkpoint, bytes);
  try {
    await importCheckpoint({ checkpoint, vocabulary: join(FIXTURES, "vocabulary.json"), out });
    (await Denoiser.load(out, { device: "cpu" }))[Symbol.dispose]();
    return "imported";
  } catch (error) {
    if (error instanceof DdscError) return error.code;
    throw error;
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
