/**
 * Files of named tensors: https://github.com/huggingface/safetensors. A file is a 64-bit length, a JSON header of
 * that length, and the tensors' bytes, little-endian. Both directions hold one tensor in memory at a time.
 */
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import { DdscError } from "../base/errors.js";
import { errorCode, readFull } from "../base/files.js";
import { openToRead } from "../base/regular_files.js";
import {
  corrupt,
  elements,
  formatHeader,
  MAX_HEADER_BYTES,
  PREFIX_BYTES,
  parseHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensors_header.js";

export type { TensorEntry } from "./safetensors_header.js";

/** Bytes read or written in one call of the operating system at most. */
const PIECE_BYTES = 64 * 2 ** 20;

/** An open file of tensors; `await using` or `close()` it. */
export class SafetensorsFile implements AsyncDisposable {
  /** The path it was opened by. */
  readonly file: string;
  /** Free text by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #handle: FileHandle;
  readonly #dataStart: number;

  private constructor(file: string, handle: FileHandle, dataStart: number, header: SafetensorsHeader) {
    this.file = file;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#handle = handle;
    this.#dataStart = dataStart;
  }

  /**
   * Opens a file and checks its header. Throws `CHECKPOINT_READ` where it cannot be opened, `CHECKPOINT_PYTORCH` where
   * PyTorch wrote it in its own format, `CHECKPOINT_CORRUPT` where it does not follow the format or is cut short,
   * `CHECKPOINT_DTYPE` for an unknown element type.
   */
  static async open(file: string): Promise<SafetensorsFile> {
    let handle: FileHandle;
    try {
      handle = await openToRead(file);
    } catch (error) {
      throw readError(file, error);
    }
    try {
      const { size } = await handle.stat();
      const prefix = new DataView((await readExactly(handle, file, 0, PREFIX_BYTES)).buffer);
      await refusePyTorch(handle, file);
      const headerBytes = Number(prefix.getBigUint64(0, true));
      if (PREFIX_BYTES + headerBytes > size) {
        throw corrupt(file, `its header would be ${headerBytes} bytes long and the file has ${size}`);
      }
      if (headerBytes > MAX_HEADER_BYTES) {
        throw corrupt(
          file,
          `its header is ${headerBytes} bytes long, and may have ${MAX_HEADER_BYTES} at most`,
        );
      }
      const text = await readExactly(handle, file, PREFIX_BYTES, headerBytes);
      const dataStart = PREFIX_BYTES + headerBytes;
      return new SafetensorsFile(file, handle, dataStart, parseHeader(text, size - dataStart, file));
    } catch (error) {
      await handle.close();
      throw error instanceof DdscError ? error : readError(file, error);
    }
  }

  /** Values of one I32 tensor, row-major. Throws `CHECKPOINT_TENSORS` and `CHECKPOINT_DTYPE`. */
  async readIntegers(name: string): Promise<Int32Array> {
    const entry = this.#entry(name);
    if (entry.dtype === "I32") return new Int32Array((await this.#bytes(entry)).buffer);
    throw new DdscError(
      "CHECKPOINT_DTYPE",
      `${this.file}: tensor "${name}" is of ${entry.dtype} instead of I32`,
      {
        file: this.file,
      },
    );
  }

  /** As `read`, in float64: F64 keeps its digits. */
  async readDoubles(name: string): Promise<Float64Array> {
    const entry = this.#entry(name);
    if (entry.dtype === "F64") return new Float64Array((await this.#bytes(entry)).buffer);
    return Float64Array.from(await this.read(name));
  }

  /**
   * Values of one tensor, row-major, as float32; F16 and BF16 are exact, F64 is rounded. Throws
   * `CHECKPOINT_TENSORS` where there is none of that name, `CHECKPOINT_DTYPE` where it is no floating-point tensor.
   */
  async read(name: string): Promise<Float32Array> {
    const entry = this.#entry(name);
    if (!isFloatType(entry.dtype)) {
      throw new DdscError(
        "CHECKPOINT_DTYPE",
        `${this.file}: tensor "${name}" is of ${entry.dtype}, not floating point; convert it to F32, BF16 or F16`,
        { file: this.file },
      );
    }
    return toFloat32(entry.dtype, await this.#bytes(entry));
  }

  #entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (entry === undefined) {
      throw new DdscError("CHECKPOINT_TENSORS", `${this.file}: it holds no tensor "${name}"`, {
        file: this.file,
      });
    }
    return entry;
  }

  #bytes({ begin, end }: TensorEntry): Promise<Uint8Array<ArrayBuffer>> {
    return readExactly(this.#handle, this.file, this.#dataStart + begin, end - begin);
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A float32 tensor to write; `read` is called when its turn comes. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its values, row-major. */
  read(): Promise<Float32Array>;
}

/**
 * Writes a new file of float32 tensors and flushes it to disk. `path` must not exist. Not atomic by itself, and
 * errors of the file system come as they are: call it inside `writeAtomically` or `writeFolder`. Throws
 * `CHECKPOINT_NAME` for a name given twice.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header = formatHeader(tensors, metadata);
  const handle = await open(path, "wx");
  try {
    await writeExactly(handle, header);
    for (const tensor of tensors) {
      const values = await tensor.read();
      if (values.length !== elements(tensor.shape)) {
        throw new RangeError(
          `tensor "${tensor.name}" has ${values.length} values for [${tensor.shape.join(", ")}]`,
        );
      }
      await writeExactly(handle, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** How the bytes of each type become float32. `bytes` begins its own buffer. */
const CONVERTERS = {
  F32: ({ buffer }: Bytes) => new Float32Array(buffer),
  F64: ({ buffer }: Bytes) => Float32Array.from(new Float64Array(buffer)),
  BF16: ({ buffer }: Bytes) => {
    const bits = Uint32Array.from(new Uint16Array(buffer), (value) => value << 16);
    return new Float32Array(bits.buffer);
  },
  F16: ({ buffer }: Bytes) => Float32Array.from(new Uint16Array(buffer), halfToNumber),
};

type Bytes = Uint8Array<ArrayBuffer>;

/** Types of numbers with a fraction, as safetensors calls them. */
export type FloatType = keyof typeof CONVERTERS;

/** Whether the numbers of a type have a fraction. */
export function isFloatType(dtype: string): dtype is FloatType {
  return Object.hasOwn(CONVERTERS, dtype);
}

/** Little-endian numbers as float32: F16 and BF16 are exact, F64 is rounded. `bytes` begins its own buffer, which may become the result's. */
export function toFloat32(dtype: FloatType, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  return CONVERTERS[dtype](bytes);
}

/** The number that an IEEE 754 binary16 stands for. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

async function readExactly(
  handle: FileHandle,
  file: string,
  start: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  const done = await readFull(handle, bytes, start);
  if (done < length) throw corrupt(file, `it ends at byte ${start + done}, ${length - done} bytes too early`);
  return bytes;
}

async function writeExactly(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, PIECE_BYTES));
    done += bytesWritten;
  }
}

/** Throws `CHECKPOINT_PYTORCH` for a file that `torch.save` wrote. */
async function refusePyTorch(handle: FileHandle, file: string): Promise<void> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
  const head = buffer.subarray(0, bytesRead);
  // A zip archive with a pickle in it, before PyTorch 1.6 a pickle of protocol 2 to 5. Text of a header would begin at byte 8.
  const isZip = head.toString("latin1", 0, 4) === "PK\x03\x04" && head.includes("data.pkl");
  const [first = 0, protocol = 0] = head;
  const isPickle = first === 0x80 && protocol >= 2 && protocol <= 5 && head.toString("latin1", 8, 9) !== "{";
  if (!isZip && !isPickle) return;
  throw new DdscError(
    "CHECKPOINT_PYTORCH",
    `${file}: is a PyTorch checkpoint; make a model of it: ddsc import ${basename(file)} --vocabulary FILE --out DIR`,
    { file },
  );
}

function readError(file: string, error: unknown): DdscError {
  const code = errorCode(error);
  const reason =
    code === "ENOENT"
      ? "there is no such file"
      : code === "EISDIR"
        ? "it is a folder"
        : error instanceof Error
          ? error.message
          : String(error);
  return new DdscError(
    "CHECKPOINT_READ",
    `${file}: cannot be read: ${reason}; check the path`,
    { file },
    { cause: error },
  );
}
