import { existsSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { importCheckpoint } from "../../lib/exchange/import_checkpoint.js";
import { readPickle } from "../../lib/exchange/pickle.js";
import { PickleTuple } from "../../lib/exchange/pickle_values.js";
import { temporaryFolder } from "../data/support.js";
import { op, pickle, tensor, VOCABULARY, writeCheckpoint } from "./checkpoints.js";

/** The error that a pickle ends in. */
function refusal(bytes: Uint8Array): DdscError {
  try {
    readPickle(bytes, "x.ckpt");
  } catch (error) {
    if (error instanceof DdscError) return error;
    throw error;
  }
  throw new Error("it was read");
}

/** A call as malicious pickles make it. */
function calls(module: string, name: string, argument: string): Buffer {
  return pickle(op.global(module, name), op.mark, op.text(argument), op.tuple, op.reduce);
}

describe("a pickle is read, not run", () => {
  it.each([
    ["os", "system"],
    ["posix", "system"],
    ["nt", "system"],
    ["builtins", "eval"],
    ["builtins", "exec"],
    ["builtins", "getattr"],
    ["builtins", "__import__"],
    ["__builtin__", "eval"],
    ["subprocess", "Popen"],
    ["importlib", "import_module"],
    ["torch", "load"],
    ["torch.jit", "load"],
    ["torch.hub", "load"],
    ["numpy", "load"],
    ["runpy", "run_path"],
    ["pickle", "loads"],
    ["webbrowser", "open"],
    ["constructor", "constructor"],
    ["__proto__", "x"],
    ["os\u0000", "system"],
  ])("%s.%s is refused by its name", (module, name) => {
    const error = refusal(calls(module, name, "touch /tmp/ddsc-pwned"));
    expect(error.code).toBe("CHECKPOINT_GLOBAL");
    expect(error.message).toContain(
      `asks for ${module.replace("\u0000", "\\u0000")}.${name}, which is not on the list`,
    );
    // The same through the stack, as protocol 4 writes it, and through NEWOBJ.
    const stacked = pickle(op.text(module), op.text(name), op.stackGlobal, op.emptyTuple, op.newObject);
    expect(refusal(stacked).code).toBe("CHECKPOINT_GLOBAL");
  });

  it("a call that protocol 0 makes by INST or OBJ is refused", () => {
    const inst = Buffer.from("(S'touch /tmp/x'\nios\nsystem\n.");
    expect(refusal(inst)).toMatchObject({ code: "CHECKPOINT_PICKLE" });
    expect(refusal(Buffer.concat([op.proto(), inst])).message).toContain("has the opcode STRING at byte 3");
    expect(refusal(pickle(op.mark, Buffer.from("ios\nsystem\n"))).message).toContain("has the opcode INST");
    expect(refusal(pickle(op.mark, Buffer.from("o"))).message).toContain("has the opcode OBJ");
    expect(refusal(pickle(Buffer.of(0x82, 1))).message).toContain("has the opcode EXT1");
  });

  it("the name of a class goes through no prototype, and nothing is called but what is on the list", () => {
    expect(refusal(pickle(op.text("os.system"), op.emptyTuple, op.reduce)).message).toContain(
      "calls what is no class or function",
    );
    const nested = pickle(
      op.global("torch._tensor", "_rebuild_from_type_v2"),
      ...[
        op.mark,
        op.global("torch._tensor", "_rebuild_from_type_v2"),
        op.none,
        op.emptyTuple,
        op.none,
        op.tuple,
      ],
      op.reduce,
    );
    expect(refusal(nested).code).toBe("CHECKPOINT_PICKLE");
    const key = pickle(op.emptyDict, op.text("__proto__"), op.int(7), op.setItem);
    expect(readPickle(key, "x")).toEqual(new Map([["__proto__", 7]]));
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("a file system stays as it is when a checkpoint asks for os.system", async () => {
    const folder = temporaryFolder();
    const trace = join(folder, "trace");
    const checkpoint = writeCheckpoint(calls("os", "system", `touch ${trace}`));
    const done = importCheckpoint({ checkpoint, vocabulary: VOCABULARY, out: join(folder, "out") });
    await expect(done).rejects.toThrow("asks for os.system");
    expect([existsSync(trace), existsSync(join(folder, "out"))]).toEqual([false, false]);
  });
});

describe("a pickle takes no more than its bytes can give", () => {
  it("lengths that it does not have are refused before memory is taken", () => {
    for (const head of [
      Buffer.from([0x58, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x42, 0xff, 0xff, 0xff, 0x7f]),
      Buffer.from([0x8d, 0, 0, 0, 0, 0, 0, 0x10, 0]),
      Buffer.from([0x96, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([0x8b, 0xff, 0xff, 0xff, 0x7f]),
    ])
      expect(refusal(Buffer.concat([op.proto(), head])).code).toBe("CHECKPOINT_PICKLE");
    const far = refusal(pickle(op.none, Buffer.of(0x72, 0xff, 0xff, 0xff, 0x7f)));
    expect(far.message).toContain("remembers a value as number 2147483647");
  });

  it("opcodes without end, and copies of copies, are refused", () => {
    const endless = Buffer.concat([op.proto(), Buffer.alloc(2 ** 22, op.emptyDict)]);
    expect(refusal(endless).message).toContain("has more than 2097152 opcodes");
    // list(list(...)) of a long list, again and again.
    const long = [op.emptyList, op.put(0), op.mark, Buffer.alloc(100_000, op.none), Buffer.from("e")];
    const copy = Buffer.concat([op.global("builtins", "list"), op.get(0), Buffer.of(0x85), op.reduce]);
    const copies = pickle(...long, ...Array<Buffer>(1000).fill(copy));
    expect(refusal(copies).message).toContain("copies more than 4194304 values");
  });

  it("nesting and references to itself are no recursion", () => {
    const depth = 500_000;
    const deep = pickle(Buffer.alloc(depth, op.emptyList), Buffer.alloc(depth - 1, op.append));
    expect(readPickle(deep, "x")).toHaveLength(1);
    const own = readPickle(pickle(op.emptyList, op.put(0), op.get(0), op.append), "x") as unknown[];
    expect(own[0]).toBe(own);
  });

  it("keys that are numbers cannot be chosen to collide", () => {
    const keys = Array.from({ length: 60_000 }, (_, i) => op.long(BigInt(i) << 32n));
    const many = pickle(op.emptyDict, op.mark, ...keys.flatMap((key) => [key, op.none]), Buffer.from("u"));
    const read = readPickle(many, "x") as Map<unknown, unknown>;
    expect(read.size).toBe(60_000);
    expect([...read.keys()].every((key) => typeof key === "string")).toBe(true);
  });

  it("any bytes end in a value or an error of the package", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readPickle(Buffer.concat([op.proto(), bytes]), "x");
        } catch (error) {
          expect(error).toBeInstanceOf(DdscError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** What a value is in a pickle of protocol 2 or 4, written by hand. */
type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

function pickled(value: Plain): Buffer {
  if (value === null) return op.none;
  if (typeof value === "boolean") return Buffer.of(value ? 0x88 : 0x89);
  if (typeof value === "string") return op.text(value);
  if (Array.isArray(value))
    return Buffer.concat([op.emptyList, ...value.flatMap((item) => [pickled(item), op.append])]);
  if (typeof value === "object") {
    const items = Object.entries(value).flatMap(([key, item]) => [op.text(key), pickled(item), op.setItem]);
    return Buffer.concat([op.emptyDict, ...items]);
  }
  const bytes = Buffer.alloc(9);
  bytes[0] = 0x47;
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function asMaps(value: Plain): unknown {
  if (Array.isArray(value)) return value.map(asMaps);
  if (typeof value !== "object" || value === null) return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, asMaps(item)]));
}

describe("what a pickle holds", () => {
  it("comes back as it was written", () => {
    const { tree } = fc.letrec<{ tree: Plain }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        fc.double({ noNaN: true }),
        fc.string({ unit: "grapheme" }),
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie("tree"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(readPickle(pickle(pickled(value)), "x")).toEqual(asMaps(value));
      }),
    );
  });

  it("whole numbers keep their sign and size", () => {
    for (const value of [0n, 1n, -1n, 255n, -256n, 2n ** 53n - 1n, -(2n ** 53n - 1n)])
      expect(readPickle(pickle(op.long(value)), "x")).toBe(Number(value));
    expect(readPickle(pickle(op.long(2n ** 62n)), "x")).toBe(2n ** 62n);
    expect(readPickle(pickle(op.int(-7)), "x")).toBe(-7);
  });

  it("a storage that is named twice must be the same", () => {
    const one = tensor({ key: "0", count: 4, shape: [4], strides: [1] });
    const other = tensor({ key: "0", count: 5, shape: [4], strides: [1] });
    expect(readPickle(pickle(one, one, Buffer.of(0x86)), "x")).toBeInstanceOf(PickleTuple);
    expect(refusal(pickle(one, other, Buffer.of(0x86))).message).toContain("storage 0 as two different ones");
    const odd = tensor({ key: "../../etc/passwd", count: 4, shape: [4], strides: [1] });
    expect(refusal(pickle(odd)).message).toContain("refers to something outside of it that is no storage");
  });
});
