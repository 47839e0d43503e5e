/** What a pickle is read into. Nothing of it runs: classes are names, and objects what was given to them. */

/** A Python tuple. */
export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** A class or function by its name, `torch.FloatStorage`; only those of `ALLOWED_GLOBALS` are read. */
export class GlobalName {
  constructor(readonly name: string) {}
}

/** An object of a class that is on the list and means nothing here: what it was made of. */
export class OpaqueObject {
  /** Set by the opcode BUILD. */
  state: PickleValue = null;

  constructor(
    /** Its class, `argparse.Namespace`. */
    readonly className: string,
    readonly args: readonly PickleValue[],
  ) {}
}

/** Numbers of one file of the archive, as a pickle refers to them. */
export interface StorageReference {
  /** Name of the file below `data/`. */
  readonly key: string;
  /** Element type as PyTorch calls it: `float32`, `bfloat16`; `uint8` for storages without a type. */
  readonly dtype: string;
  /** Number of elements. */
  readonly count: number;
}

/** A tensor of a pickle: where its numbers are. Not checked against its storage before they are read. */
export class TensorReference {
  constructor(
    readonly storage: StorageReference,
    /** Element type as PyTorch calls it. */
    readonly dtype: string,
    /** First element in the storage. */
    readonly offset: number,
    readonly shape: readonly number[],
    /** Elements between neighbours along each axis. */
    readonly strides: readonly number[],
  ) {}
}

/** Storages stand on the stack of a pickle as they are. */
export class PickleStorage {
  constructor(readonly reference: StorageReference) {}
}

/** A dictionary; see `keyOf` for its keys. */
export type PickleDictionary = Map<PickleKey, PickleValue>;

/** Key of a dictionary: text as it is, objects as themselves. */
export type PickleKey = string | object;

/**
 * What a key of a dictionary is kept under. Numbers become text that begins with a control character: a map hashes numbers in a way
 * that anyone can work out, and keys chosen to collide would take hours.
 */
export function keyOf(key: PickleValue): PickleKey {
  return typeof key === "string" || (typeof key === "object" && key !== null) ? key : `\u0000${String(key)}`;
}

/** A value of a pickle: lists and sets are arrays, dictionaries maps by `keyOf` their keys. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleValue[]
  | PickleDictionary
  | GlobalName
  | OpaqueObject
  | PickleStorage
  | TensorReference;
