import { globalError, pickleError, quoted } from "./pickle_errors.js";
import { callGlobal, isAllowed, storageType } from "./pickle_globals.js";
import {
  GlobalName,
  keyOf,
  OpaqueObject,
  type PickleDictionary,
  PickleStorage,
  PickleTuple,
  type PickleValue,
  TensorReference,
} from "./pickle_values.js";

/** Bytes of a pickle; that of a model of 24 blocks with its optimizer has 0.3 MB. */
export const MAX_PICKLE_BYTES = 64 * 2 ** 20;
/** Opcodes of a pickle, each of which makes one value at most; the same has some 50,000. */
const MAX_OPCODES = 2 ** 21;
/** Values that calls may copy. */
const MAX_COPIED = 2 ** 22;
/** Characters of a module's or a class's name. */
const MAX_NAME = 512;
/** Bytes of a whole number. */
const MAX_INTEGER_BYTES = 64;

/** Opcodes of protocols 2 to 5, but for those of text, of extensions and of buffers out of band. */
const Op = {
  mark: 0x28,
  stop: 0x2e,
  pop: 0x30,
  popMark: 0x31,
  dup: 0x32,
  binFloat: 0x47,
  binInt: 0x4a,
  binInt1: 0x4b,
  binInt2: 0x4d,
  none: 0x4e,
  binPersistentId: 0x51,
  reduce: 0x52,
  binString: 0x54,
  shortBinString: 0x55,
  binUnicode: 0x58,
  emptyList: 0x5d,
  append: 0x61,
  build: 0x62,
  global: 0x63,
  appends: 0x65,
  binGet: 0x68,
  longBinGet: 0x6a,
  binPut: 0x71,
  longBinPut: 0x72,
  setItem: 0x73,
  tuple: 0x74,
  emptyTuple: 0x29,
  setItems: 0x75,
  emptyDict: 0x7d,
  proto: 0x80,
  newObject: 0x81,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
  long1: 0x8a,
  long4: 0x8b,
  binBytes: 0x42,
  shortBinBytes: 0x43,
  shortBinUnicode: 0x8c,
  binUnicode8: 0x8d,
  binBytes8: 0x8e,
  emptySet: 0x8f,
  addItems: 0x90,
  frozenSet: 0x91,
  newObjectKeywords: 0x92,
  stackGlobal: 0x93,
  memoize: 0x94,
  frame: 0x95,
  byteArray8: 0x96,
} as const;

/** Opcodes that are refused by their names. */
const REFUSED: Readonly<Record<number, string>> = {
  70: "FLOAT",
  73: "INT",
  76: "LONG",
  80: "PERSID",
  83: "STRING",
  86: "UNICODE",
  100: "DICT",
  103: "GET",
  105: "INST",
  108: "LIST",
  111: "OBJ",
  112: "PUT",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  151: "NEXT_BUFFER",
  152: "READONLY_BUFFER",
};

/**
 * What a pickle of PyTorch describes. Nothing runs: classes and functions are names of a list (`isAllowed`), a call of one gives what
 * stands for its result. Time and memory are linear in the length, which `MAX_PICKLE_BYTES` bounds, as opcodes and copies are.
 *
 * @param file named in messages
 *
 * Throws `CHECKPOINT_GLOBAL` for a name that is not on the list, `CHECKPOINT_PICKLE` for everything else that is no such pickle.
 */
export function readPickle(bytes: Uint8Array, file: string): PickleValue {
  return new Unpickler(bytes, file).run();
}

/** One run through a pickle. */
class Unpickler {
  readonly #bytes: Buffer;
  readonly #file: string;
  #at = 0;
  #copied = 0;
  readonly #stack: PickleValue[] = [];
  /** Lengths of the stack where marks were set. */
  readonly #marks: number[] = [];
  readonly #memo: PickleValue[] = [];
  /** Type, key and count of each storage by its key: one that is named again must be the same. */
  readonly #storages = new Map<string, PickleStorage>();

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
  }

  run(): PickleValue {
    if (this.#bytes.length > MAX_PICKLE_BYTES)
      throw this.#fail(`has ${this.#bytes.length} bytes, and may have ${MAX_PICKLE_BYTES} at most`);
    if (this.#byte() !== Op.proto) throw this.#fail("does not begin as protocols 2 to 5 do");
    const protocol = this.#byte();
    if (protocol < 2 || protocol > 5) throw this.#fail(`is of protocol ${protocol} instead of 2 to 5`);
    for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
      const op = this.#byte();
      if (op === Op.stop) return this.#pop();
      this.#step(op);
    }
    throw this.#fail(`has more than ${MAX_OPCODES} opcodes`);
  }

  #step(op: number): void {
    switch (op) {
      case Op.proto:
        this.#byte();
        return;
      case Op.frame:
        // Only tells how much to read ahead.
        this.#length8();
        return;
      case Op.mark:
        this.#marks.push(this.#stack.length);
        return;
      case Op.pop:
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#pop();
        return;
      case Op.popMark:
        this.#popMark();
        return;
      case Op.dup:
        this.#push(this.#top());
        return;
      case Op.binGet:
        this.#push(this.#recall(this.#byte()));
        return;
      case Op.longBinGet:
        this.#push(this.#recall(this.#uint32()));
        return;
      case Op.binPut:
        this.#remember(this.#byte());
        return;
      case Op.longBinPut:
        this.#remember(this.#uint32());
        return;
      case Op.memoize:
        this.#remember(this.#memo.length);
        return;
      case Op.append:
        this.#extend([this.#pop()]);
        return;
      case Op.appends:
      case Op.addItems:
        this.#extend(this.#popMark());
        return;
      case Op.setItem: {
        const value = this.#pop();
        this.#setItems([this.#pop(), value]);
        return;
      }
      case Op.setItems:
        this.#setItems(this.#popMark());
        return;
      case Op.build:
        this.#build(this.#pop());
        return;
      default:
        this.#push(this.#valueOf(op));
    }
  }

  /** The value that an opcode makes. */
  #valueOf(op: number): PickleValue {
    switch (op) {
      case Op.none:
        return null;
      case Op.newTrue:
        return true;
      case Op.newFalse:
        return false;
      case Op.binInt:
        return this.#take(4).readInt32LE();
      case Op.binInt1:
        return this.#byte();
      case Op.binInt2:
        return this.#take(2).readUInt16LE();
      case Op.long1:
        return this.#integer(this.#byte());
      case Op.long4:
        return this.#integer(this.#uint32());
      case Op.binFloat:
        return this.#take(8).readDoubleBE();
      case Op.shortBinString:
        return this.#take(this.#byte()).toString("latin1");
      case Op.binString:
        return this.#take(this.#uint32()).toString("latin1");
      case Op.shortBinUnicode:
        return this.#take(this.#byte()).toString("utf8");
      case Op.binUnicode:
        return this.#take(this.#uint32()).toString("utf8");
      case Op.binUnicode8:
        return this.#take(this.#length8()).toString("utf8");
      case Op.shortBinBytes:
        return this.#take(this.#byte());
      case Op.binBytes:
        return this.#take(this.#uint32());
      case Op.binBytes8:
      case Op.byteArray8:
        return this.#take(this.#length8());
      case Op.emptyList:
      case Op.emptySet:
        return [];
      case Op.frozenSet:
        return this.#popMark();
      case Op.emptyDict:
        return new Map();
      case Op.emptyTuple:
        return new PickleTuple([]);
      case Op.tuple:
        return new PickleTuple(this.#popMark());
      case Op.tuple1:
        return this.#tuple(1);
      case Op.tuple2:
        return this.#tuple(2);
      case Op.tuple3:
        return this.#tuple(3);
      case Op.global:
        return this.#global(this.#line(), this.#line());
      case Op.stackGlobal: {
        const name = this.#pop();
        const module = this.#pop();
        if (typeof name !== "string" || typeof module !== "string")
          throw this.#fail("names a class by what is no text");
        return this.#global(module, name);
      }
      case Op.newObject:
      case Op.reduce: {
        const args = this.#pop();
        return this.#call(this.#pop(), args);
      }
      case Op.newObjectKeywords: {
        const keywords = this.#pop();
        if (!(keywords instanceof Map) || keywords.size > 0)
          throw this.#fail("makes an object with named arguments");
        const args = this.#pop();
        return this.#call(this.#pop(), args);
      }
      case Op.binPersistentId:
        return this.#storage(this.#pop());
      default: {
        const name = Object.hasOwn(REFUSED, op) ? `the opcode ${REFUSED[op]}` : `the unknown opcode ${op}`;
        throw this.#fail(`has ${name} at byte ${this.#at - 1}, which PyTorch does not write`);
      }
    }
  }

  #global(module: string, name: string): GlobalName {
    const full = `${module}.${name}`;
    if (full.length <= 2 * MAX_NAME && isAllowed(full)) return new GlobalName(full);
    throw globalError(this.#file, full);
  }

  #call(func: PickleValue, args: PickleValue): PickleValue {
    if (!(func instanceof GlobalName)) throw this.#fail("calls what is no class or function");
    const { name } = func;
    if (!(args instanceof PickleTuple)) throw this.#fail(`calls ${name} without a tuple of arguments`);
    return callGlobal(args.items, {
      name,
      spend: (values) => {
        this.#copied += values;
        if (this.#copied > MAX_COPIED) throw this.#fail(`copies more than ${MAX_COPIED} values`);
      },
      fail: (what) => this.#fail(`calls ${name} with ${what}`),
    });
  }

  /** A storage as PyTorch refers to one: ("storage", class, key, device, count). */
  #storage(id: PickleValue): PickleStorage {
    const items = id instanceof PickleTuple ? id.items : [];
    const [kind, type, key, , count] = items;
    const dtype = type instanceof GlobalName ? storageType(type.name) : undefined;
    const good =
      items.length === 5 &&
      kind === "storage" &&
      dtype !== undefined &&
      typeof key === "string" &&
      /^\d{1,10}$/.test(key) &&
      Number.isSafeInteger(count) &&
      Number(count) >= 0;
    if (!good) throw this.#fail("refers to something outside of it that is no storage");
    const known = this.#storages.get(key);
    if (known === undefined) {
      const made = new PickleStorage({ key, dtype, count: Number(count) });
      this.#storages.set(key, made);
      return made;
    }
    if (known.reference.dtype !== dtype || known.reference.count !== count)
      throw this.#fail(`refers to storage ${key} as two different ones`);
    return known;
  }

  #setItems(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (!(target instanceof Map)) throw this.#fail("sets items of what is no dictionary");
    if (items.length % 2 !== 0) throw this.#fail("has a key without a value");
    const dictionary: PickleDictionary = target;
    for (let i = 0; i < items.length; i += 2) dictionary.set(keyOf(items[i] ?? null), items[i + 1] ?? null);
  }

  #extend(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (!Array.isArray(target)) throw this.#fail("appends to what is no list");
    for (const item of items) target.push(item);
  }

  /** Sets the state of an object. Attributes of dictionaries and tensors mean nothing here. */
  #build(state: PickleValue): void {
    const target = this.#top();
    if (target instanceof OpaqueObject) target.state = state;
    else if (!(target instanceof Map) && !(target instanceof TensorReference) && !Array.isArray(target))
      throw this.#fail("sets the state of what has none");
  }

  #tuple(length: number): PickleTuple {
    const items: PickleValue[] = [];
    for (let i = 0; i < length; i++) items.unshift(this.#pop());
    return new PickleTuple(items);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #top(): PickleValue {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (value === undefined) throw this.#fail(`takes a value where none is, at byte ${this.#at - 1}`);
    return value;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#fail(`goes back to a mark where none is, at byte ${this.#at - 1}`);
    return this.#stack.splice(mark);
  }

  #remember(index: number): void {
    if (index >= MAX_OPCODES) throw this.#fail(`remembers a value as number ${index}`);
    this.#memo[index] = this.#top();
  }

  #recall(index: number): PickleValue {
    const value = this.#memo[index];
    if (value === undefined) throw this.#fail(`recalls value ${index}, which it has not remembered`);
    return value;
  }

  /** A little-endian number in two's complement. */
  #integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.#fail(`has a whole number of ${length} bytes`);
    const bytes = this.#take(length);
    let value = 0n;
    for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  #line(): string {
    const end = this.#bytes.subarray(this.#at, this.#at + MAX_NAME + 1).indexOf(0x0a);
    if (end < 0) throw this.#fail("has a name without an end");
    const text = this.#take(end).toString("utf8");
    this.#at++;
    return text;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw this.#fail(`ends at byte ${this.#at}, too early`);
    this.#at++;
    return byte;
  }

  #uint32(): number {
    return this.#take(4).readUInt32LE();
  }

  #length8(): number {
    const length = Number(this.#take(8).readBigUInt64LE());
    if (Number.isSafeInteger(length)) return length;
    throw this.#fail(`has a value of ${length} bytes`);
  }

  #take(length: number): Buffer {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    if (bytes.length < length)
      throw this.#fail(`has ${length} bytes at ${this.#at}, but ends at ${this.#bytes.length}`);
    this.#at += length;
    return bytes;
  }

  #fail(problem: string) {
    return pickleError(this.#file, quoted(problem));
  }
}
