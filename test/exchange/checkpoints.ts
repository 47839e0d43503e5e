import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zipArchive } from "../data/io/zip_support.js";
import { temporaryFolder } from "../data/support.js";

export const FIXTURES = join(import.meta.dirname, "../fixtures/checkpoints");
export const VOCABULARY = join(FIXTURES, "vocabulary.json");
/** Checkpoints that are read. */
export const CHECKPOINTS = readdirSync(FIXTURES).filter(
  (name) => /\.(ckpt|pt|bin)$/.test(name) && name !== "legacy.pt",
);

export function fixture(name: string): string {
  return join(FIXTURES, name);
}

/** Opcodes of protocol 2 by hand. */
export const op = {
  proto: (version = 2) => Buffer.of(0x80, version),
  stop: Buffer.from("."),
  mark: Buffer.from("("),
  tuple: Buffer.from("t"),
  reduce: Buffer.from("R"),
  build: Buffer.from("b"),
  newObject: Buffer.of(0x81),
  emptyTuple: Buffer.from(")"),
  emptyList: Buffer.from("]"),
  emptyDict: Buffer.from("}"),
  append: Buffer.from("a"),
  setItem: Buffer.from("s"),
  persistent: Buffer.from("Q"),
  none: Buffer.from("N"),
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  stackGlobal: Buffer.of(0x93),
  int: (value: number) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = 0x4a;
    bytes.writeInt32LE(value, 1);
    return bytes;
  },
  long: (value: bigint) => {
    const bytes = Buffer.alloc(10);
    bytes[0] = 0x8a;
    bytes[1] = 8;
    bytes.writeBigInt64LE(value, 2);
    return bytes;
  },
  text: (text: string) => {
    const head = Buffer.alloc(5);
    head[0] = 0x58;
    head.writeUInt32LE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  },
  put: (index: number) => Buffer.of(0x71, index),
  get: (index: number) => Buffer.of(0x68, index),
} as const;

/** A pickle of these opcodes. */
export function pickle(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([op.proto(), ...parts, op.stop]);
}

/** A tensor of float32 by hand, of a storage of `count` numbers. */
export function tensor(options: {
  readonly key: string;
  readonly count: number;
  readonly shape: readonly (number | bigint)[];
  readonly strides: readonly (number | bigint)[];
  readonly offset?: number;
  readonly storage?: string;
}): Buffer {
  const { key, count, shape, strides, offset = 0, storage = "FloatStorage" } = options;
  const numbers = (values: readonly (number | bigint)[]) => [
    op.mark,
    ...values.map((value) => (typeof value === "bigint" ? op.long(value) : op.int(value))),
    op.tuple,
  ];
  return Buffer.concat([
    op.global("torch._utils", "_rebuild_tensor_v2"),
    op.mark,
    ...[
      op.mark,
      op.text("storage"),
      op.global("torch", storage),
      op.text(key),
      op.text("cpu"),
      op.int(count),
    ],
    ...[op.tuple, op.persistent, op.int(offset), ...numbers(shape), ...numbers(strides)],
    ...[Buffer.of(0x89), op.emptyTuple, op.tuple, op.reduce],
  ]);
}

/** Writes a checkpoint of a pickle and storages; its checksums fit. */
export function writeCheckpoint(
  pickled: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
): string {
  const path = join(temporaryFolder(), "made.ckpt");
  const files = Object.entries(storages).map(([key, bytes]) => ({ name: `archive/data/${key}`, bytes }));
  writeFileSync(path, zipArchive([{ name: "archive/data.pkl", bytes: pickled }, ...files]));
  return path;
}

/** Bytes of a file. */
export function bytesOf(path: string): Buffer {
  return readFileSync(path);
}
