/** The classes and functions that a pickle may name, and what stands for a call of each. Everything else is refused by its name. */
import type { DdscError } from "../base/errors.js";
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

/** A call that a pickle asks for. */
export interface PickleCall {
  /** What is called. */
  readonly name: string;
  /** Counts values that are copied; throws where a pickle copies too many. */
  spend(values: number): void;
  /** The error for arguments that make no sense. */
  fail(what: string): DdscError;
}

/** What a call of a global gives; reads its arguments and nothing else. */
type Call = (args: readonly PickleValue[], call: PickleCall) => PickleValue;

/** Dimensions of a tensor; PyTorch itself has no more than 64. */
const MOST_AXES = 64;

/** Element types by the class of their storage. */
const STORAGES: Readonly<Record<string, string>> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
  ComplexFloatStorage: "complex64",
  ComplexDoubleStorage: "complex128",
};

/** The element type of a class of storages; undefined for any other global. Storages without a type are bytes. */
export function storageType(name: string): string | undefined {
  if (name === "torch.storage.UntypedStorage") return "uint8";
  const [, kind = ""] = /^torch\.(?:cuda\.)?(\w+)$/.exec(name) ?? [];
  return Object.hasOwn(STORAGES, kind) ? STORAGES[kind] : undefined;
}

const DTYPES = [
  ...["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"],
  ...["uint16", "uint32", "uint64", "complex32", "complex64", "complex128"],
  ...["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"],
] as const;

/** An object of the class, whatever it was given. */
const opaque: Call = (args, { name }) => new OpaqueObject(name, args);

/** A dictionary of pairs or of a dictionary; `skip` arguments stand before. */
function dictionary(skip: number): Call {
  return (args, { fail, spend }): PickleDictionary => {
    const from = args[skip];
    if (from === undefined) return new Map();
    if (from instanceof Map) {
      spend(from.size);
      return new Map(from);
    }
    if (!Array.isArray(from)) throw fail("what is no list of pairs");
    spend(from.length);
    const copy: PickleDictionary = new Map();
    for (const pair of from) {
      const items = itemsOf(pair) ?? [];
      const [key, value] = items;
      if (items.length !== 2 || key === undefined || value === undefined)
        throw fail("what is no list of pairs");
      copy.set(keyOf(key), value);
    }
    return copy;
  };
}

function itemsOf(value: PickleValue | undefined): readonly PickleValue[] | undefined {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  return value instanceof PickleTuple ? value.items : undefined;
}

/** A list, tuple or set out of one. */
function collection(make: (values: PickleValue[]) => PickleValue): Call {
  return ([from], { fail, spend }) => {
    const values = itemsOf(from);
    if (values === undefined) throw fail("what is no list");
    spend(values.length);
    return make([...values]);
  };
}

function naturals(value: PickleValue | undefined): readonly number[] | undefined {
  const values = value instanceof PickleTuple ? value.items : undefined;
  if (values === undefined || values.length > MOST_AXES) return undefined;
  const good = values.every((item): item is number => Number.isSafeInteger(item) && Number(item) >= 0);
  return good ? values : undefined;
}

const rebuildTensor: Call = ([storage, offset, shape, strides, , , dtype], { name, fail }) => {
  const lengths = naturals(shape);
  const steps = naturals(strides);
  const good =
    storage instanceof PickleStorage &&
    lengths !== undefined &&
    steps?.length === lengths.length &&
    Number.isSafeInteger(offset) &&
    Number(offset) >= 0;
  if (!good) throw fail("arguments that make no tensor");
  const { reference } = storage;
  const type = name.endsWith("_v3") && dtype instanceof GlobalName ? dtype.name : `torch.${reference.dtype}`;
  return new TensorReference(reference, type.replace(/^torch\./, ""), Number(offset), lengths, steps);
};

const firstTensor: Call = ([tensor], { fail }) => {
  if (tensor instanceof TensorReference) return tensor;
  throw fail("what is no tensor");
};

/** A tensor with attributes: function, class, arguments, state. Only a function that rebuilds a tensor is called for it. */
const rebuildFromType: Call = ([func, , args], call) => {
  const rebuild = func instanceof GlobalName ? CALLS.get(func.name) : undefined;
  const given = args instanceof PickleTuple ? args.items : undefined;
  if (
    rebuild === undefined ||
    rebuild === rebuildFromType ||
    given === undefined ||
    !(func instanceof GlobalName)
  )
    throw call.fail("arguments that make no tensor");
  return rebuild(given, { ...call, name: func.name });
};

/** How protocol 2 writes bytes: text in which each character is one of them. */
const encode: Call = ([text, encoding], { fail, spend }) => {
  if (typeof text === "string" && (encoding === "latin1" || encoding === "latin-1")) {
    spend(text.length);
    return Uint8Array.from(text, (character) => character.codePointAt(0) ?? 0);
  }
  throw fail("another encoding than latin1");
};

const bytes: Call = ([value], { fail }) => {
  if (value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  throw fail("what is no bytes");
};

/** How old protocols make an object of a class: class, base, its state. */
const reconstruct: Call = ([type], { fail }) => {
  if (type instanceof GlobalName) return new OpaqueObject(type.name, []);
  throw fail("what is no class");
};

/** The numpy scalar of an element type and its bytes, as a number where it is one. */
const scalar: Call = (args, { name }) => {
  const [type, raw] = args;
  const [code] = type instanceof OpaqueObject && type.className === "numpy.dtype" ? type.args : [];
  if (!(raw instanceof Uint8Array) || typeof code !== "string") return new OpaqueObject(name, args);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const readers: Readonly<Record<string, readonly [number, () => number]>> = {
    f8: [8, () => view.getFloat64(0, true)],
    f4: [4, () => view.getFloat32(0, true)],
    i8: [8, () => Number(view.getBigInt64(0, true))],
    i4: [4, () => view.getInt32(0, true)],
    b1: [1, () => view.getUint8(0)],
  };
  const [size, read] = (Object.hasOwn(readers, code) ? readers[code] : undefined) ?? [-1];
  return read !== undefined && raw.length === size ? read() : new OpaqueObject(name, args);
};

const PATHS = ["PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath"];
const ATTRIBUTE_DICTIONARIES = [
  "lightning.fabric.utilities.data.AttributeDict",
  "lightning_fabric.utilities.data.AttributeDict",
  "lightning.pytorch.utilities.parsing.AttributeDict",
  "pytorch_lightning.utilities.parsing.AttributeDict",
];
const OMEGACONF = [
  ...["dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata", "base.Metadata"],
  ...[
    "AnyNode",
    "IntegerNode",
    "FloatNode",
    "StringNode",
    "BooleanNode",
    "BytesNode",
    "PathNode",
    "EnumNode",
  ].map((node) => `nodes.${node}`),
];
const TYPING = ["Any", "Dict", "List", "Tuple", "Union", "Optional"];

function each(names: readonly string[], call: Call): [string, Call][] {
  return names.map((name) => [name, call]);
}

/** A class or function of Python itself, under its names in both protocols. */
function builtin(name: string, call: Call): [string, Call][] {
  return [
    [`builtins.${name}`, call],
    [`__builtin__.${name}`, call],
  ];
}

const list: Call = collection((values) => values);

const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  // Python.
  ["collections.OrderedDict", dictionary(0)],
  ["collections.defaultdict", dictionary(1)],
  ["collections.Counter", dictionary(0)],
  ["collections.deque", list],
  ...builtin("dict", dictionary(0)),
  ...builtin("list", list),
  ...builtin(
    "tuple",
    collection((values) => new PickleTuple(values)),
  ),
  ...["set", "frozenset"].flatMap((name) => builtin(name, list)),
  ...["bytes", "bytearray"].flatMap((name) => builtin(name, bytes)),
  ...["int", "float", "bool", "str", "complex", "object", "slice", "range"].flatMap((name) =>
    builtin(name, opaque),
  ),
  // What protocol 2 calls int, str and range.
  ...each(["__builtin__.long", "__builtin__.unicode", "__builtin__.xrange"], opaque),
  ["_codecs.encode", encode],
  ["copyreg._reconstructor", reconstruct],
  ["copy_reg._reconstructor", reconstruct],
  ["argparse.Namespace", opaque],
  ["types.SimpleNamespace", opaque],
  ["datetime.timedelta", opaque],
  ...each(
    ["pathlib", "pathlib._local"].flatMap((module) => PATHS.map((path) => `${module}.${path}`)),
    opaque,
  ),
  ...each(
    TYPING.map((name) => `typing.${name}`),
    opaque,
  ),
  // Lightning, OmegaConf.
  ...each(ATTRIBUTE_DICTIONARIES, dictionary(0)),
  ...each(
    OMEGACONF.map((name) => `omegaconf.${name}`),
    opaque,
  ),
  // numpy.
  ...["numpy.core.multiarray", "numpy._core.multiarray"].flatMap((module): [string, Call][] => [
    [`${module}.scalar`, scalar],
    [`${module}._reconstruct`, opaque],
  ]),
  ["numpy.dtype", opaque],
  ["numpy.ndarray", opaque],
  // PyTorch.
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildTensor],
  ["torch._utils._rebuild_parameter", firstTensor],
  ["torch._utils._rebuild_parameter_with_state", firstTensor],
  ["torch._tensor._rebuild_from_type_v2", rebuildFromType],
  ["torch.Size", collection((values) => new PickleTuple(values))],
  ["torch.device", opaque],
  ["torch.serialization._get_layout", opaque],
  ["torch.torch_version.TorchVersion", opaque],
  ...each(["torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"], opaque),
  ["torch.storage.UntypedStorage", opaque],
  ...each(
    Object.keys(STORAGES).flatMap((storage) => [`torch.${storage}`, `torch.cuda.${storage}`]),
    opaque,
  ),
  ...each(
    DTYPES.map((dtype) => `torch.${dtype}`),
    opaque,
  ),
]);

/** Whether a pickle may name this class or function. */
export function isAllowed(name: string): boolean {
  return CALLS.has(name);
}

/** What stands for a call of a global that is on the list. Throws what `call.fail` makes where the arguments make no sense. */
export function callGlobal(args: readonly PickleValue[], call: PickleCall): PickleValue {
  return (CALLS.get(call.name) ?? opaque)(args, call);
}
