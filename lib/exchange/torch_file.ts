import { DdscError } from "../base/errors.js";
import { openToRead } from "../base/regular_files.js";
import { ZipArchive } from "../data/io/zip.js";
import { type FloatType, toFloat32 } from "../model/safetensors.js";
import { MAX_PICKLE_BYTES, readPickle } from "./pickle.js";
import { quoted } from "./pickle_errors.js";
import type { PickleValue, StorageReference, TensorReference } from "./pickle_values.js";

/** Files of an archive: one a tensor, and the optimizer has two for each weight. */
const MOST_FILES = 2 ** 18;
/** The bytes of all tensors that are read, as a multiple of the file's: weights may share their numbers, but not without end. */
const MOST_TIMES_READ = 4;

/** Types of weights, as safetensors calls them, and bytes of a number of each. */
const FLOATS: Readonly<Record<string, readonly [FloatType, number]>> = {
  float64: ["F64", 8],
  float32: ["F32", 4],
  float16: ["F16", 2],
  bfloat16: ["BF16", 2],
};

/** A checkpoint of PyTorch 1.6 or later, open for reading: a zip archive of a pickle and the numbers of its tensors. */
export class TorchFile implements Disposable {
  /** The path it was opened by. */
  readonly file: string;
  /** What its pickle describes; see `readPickle`. */
  readonly root: PickleValue;
  readonly #archive: ZipArchive;
  /** What stands before the names of its files: "archive/". */
  readonly #folder: string;
  #bytesLeft: number;
  /** The storage that was read last: tensors that share one come one after the other. */
  #last: { readonly key: string; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;

  private constructor(file: string, archive: ZipArchive, folder: string, root: PickleValue, bytes: number) {
    this.file = file;
    this.root = root;
    this.#archive = archive;
    this.#folder = folder;
    this.#bytesLeft = MOST_TIMES_READ * bytes;
  }

  /**
   * Opens a checkpoint and reads its pickle. Throws `CHECKPOINT_READ` where it cannot be opened, `CHECKPOINT_FORMAT` for another format
   * (safetensors, TorchScript, PyTorch before 1.6), `CHECKPOINT_CORRUPT` for a damaged archive, and as `readPickle`.
   */
  static async open(file: string): Promise<TorchFile> {
    const bytes = await checkFormat(file);
    const archive = await ZipArchive.open(file, MOST_FILES).catch((error: unknown) => {
      throw archiveError(file, error);
    });
    try {
      const names = [...archive.names()];
      const pickles = names.filter((name) => /^(?:[^/]+\/)?data\.pkl$/.test(name));
      const [pickle] = pickles;
      if (pickle === undefined || pickles.length > 1)
        throw formatError(file, "is a zip archive, but not one of torch.save: it has no pickle data.pkl");
      const folder = pickle.slice(0, -"data.pkl".length);
      if (names.includes(`${folder}constants.pkl`))
        throw formatError(file, "is a TorchScript program, not weights");
      await checkByteOrder(file, archive, `${folder}byteorder`);
      const size = archive.size(pickle) ?? 0;
      if (size > MAX_PICKLE_BYTES)
        throw damaged(file, `its pickle has ${size} bytes, and may have ${MAX_PICKLE_BYTES} at most`);
      const root = readPickle(await readEntry(file, archive, pickle, size), file);
      return new TorchFile(file, archive, folder, root, bytes);
    } catch (error) {
      archive.close();
      throw error;
    }
  }

  /**
   * Values of a tensor, row-major, as float32: float16 and bfloat16 are exact, float64 is rounded. Throws `CHECKPOINT_DTYPE` where its
   * numbers have no fraction, `CHECKPOINT_CORRUPT` where it does not lie within its storage or the storage is damaged.
   *
   * @param name of the tensor, for messages
   */
  async read(name: string, tensor: TensorReference): Promise<Float32Array> {
    const { dtype, offset, shape, strides, storage } = tensor;
    const [type, width] = (Object.hasOwn(FLOATS, dtype) ? FLOATS[dtype] : undefined) ?? [];
    if (type === undefined || width === undefined || storage.dtype !== dtype) {
      throw new DdscError(
        "CHECKPOINT_DTYPE",
        `${this.file}: tensor "${quoted(name)}" is of ${dtype}, not of float32, bfloat16, float16 or float64; convert it with .float() and save it again`,
        { file: this.file },
      );
    }
    const size = shape.reduce((product, length) => product * length, 1);
    const last = shape.reduce((sum, length, axis) => sum + (length - 1) * (strides[axis] ?? 0), offset);
    // Also where arithmetic was not exact: such a number is no smaller than a count that is.
    if (size > storage.count || (size > 0 && last >= storage.count)) {
      throw damaged(
        this.file,
        `tensor "${quoted(name)}" [${shape.join(", ")}] has ${size} numbers up to number ${last} of ${storage.count}`,
      );
    }
    this.#bytesLeft -= size * width;
    if (this.#bytesLeft < 0)
      throw damaged(
        this.file,
        `its tensors share their numbers so often that they have ${MOST_TIMES_READ} times its size`,
      );
    const bytes = await this.#storage(name, storage, width);
    return toFloat32(type, gather(bytes, width, tensor, size));
  }

  /** The bytes of a storage, compared with their checksum. */
  async #storage(
    name: string,
    { key, count }: StorageReference,
    width: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#last?.key === key) return this.#last.bytes;
    this.#last = undefined;
    const entry = `${this.#folder}data/${key}`;
    const size = this.#archive.size(entry);
    if (size === undefined)
      throw damaged(this.file, `the numbers of tensor "${quoted(name)}" (${entry}) are missing`);
    if (size !== count * width)
      throw damaged(
        this.file,
        `tensor "${quoted(name)}" needs ${count * width} bytes of ${entry}, which has ${size}`,
      );
    if (!this.#archive.isStored(entry))
      throw damaged(this.file, `${entry} is compressed, which PyTorch never does`);
    const bytes = (await readEntry(this.file, this.#archive, entry, size)) as Uint8Array<ArrayBuffer>;
    this.#last = { key, bytes };
    return bytes;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#archive.close();
  }
}

/** The bytes of a tensor's numbers, row-major, in memory of their own. */
function gather(
  bytes: Uint8Array<ArrayBuffer>,
  width: number,
  { offset, shape, strides }: TensorReference,
  size: number,
): Uint8Array<ArrayBuffer> {
  if (size === 0) return new Uint8Array(0);
  if (isContiguous(shape, strides)) return bytes.slice(offset * width, (offset + size) * width);
  const out = new Uint8Array(size * width);
  const View = width === 2 ? Uint16Array : width === 4 ? Uint32Array : BigUint64Array;
  const from = new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / width);
  const to = new View(out.buffer);
  const place = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < size; i++) {
    to[i] = from[at] as never;
    // The next place, the last axis first.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const step = strides[axis] as number;
      const next = (place[axis] as number) + 1;
      at += step;
      if (next < (shape[axis] as number)) {
        place[axis] = next;
        break;
      }
      at -= next * step;
      place[axis] = 0;
    }
  }
  return out;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const length = shape[axis] as number;
    if (length !== 1 && strides[axis] !== step) return false;
    step *= length;
  }
  return true;
}

/** Throws where a file is no zip archive, in words for what it is; gives its size in bytes. */
async function checkFormat(file: string): Promise<number> {
  const { head, size } = await readHead(file);
  const text = head.toString("latin1");
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06")) return size;
  const isTar = text.slice(257, 262) === "ustar";
  const isPickle = head[0] === 0x80 && (head[1] ?? 0) >= 1 && (head[1] ?? 0) <= 5 && text[8] !== "{";
  if (isTar || isPickle)
    throw formatError(file, "is in the format of PyTorch before 1.6, or a pickle alone, which are not read");
  if (text[8] === "{")
    throw formatError(
      file,
      "is safetensors, not a checkpoint of PyTorch: `ddsc train --weights` takes such weights",
    );
  throw formatError(file, "is not a checkpoint of PyTorch");
}

async function readHead(file: string): Promise<{ readonly head: Buffer; readonly size: number }> {
  try {
    const handle = await openToRead(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
      return { head: buffer.subarray(0, bytesRead), size: (await handle.stat()).size };
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DdscError(
      "CHECKPOINT_READ",
      `${file}: cannot be read: ${reason}; check the path`,
      { file },
      { cause },
    );
  }
}

async function checkByteOrder(file: string, archive: ZipArchive, name: string): Promise<void> {
  const size = archive.size(name);
  if (size === undefined) return;
  const order = size <= 16 ? Buffer.from(await readEntry(file, archive, name, size)).toString("latin1") : "";
  if (order !== "little") throw formatError(file, "has numbers of another byte order than little-endian");
}

async function readEntry(file: string, archive: ZipArchive, name: string, size: number): Promise<Uint8Array> {
  return await archive.read(name, 0, size).catch((error: unknown) => {
    throw archiveError(file, error);
  });
}

function archiveError(file: string, error: unknown): unknown {
  if (!(error instanceof DdscError)) return error;
  return damaged(file, error.text.replace(`${file}: `, ""), error);
}

function damaged(file: string, problem: string, cause?: unknown): DdscError {
  return new DdscError(
    "CHECKPOINT_CORRUPT",
    `${file}: ${problem}; the checkpoint is damaged or incomplete: copy or save it again`,
    { file },
    { cause },
  );
}

function formatError(file: string, problem: string): DdscError {
  return new DdscError(
    "CHECKPOINT_FORMAT",
    `${file}: ${problem}; load it in Python and save its state dict with torch.save of PyTorch 1.6 or newer`,
    { file },
  );
}
