import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { SafetensorsFile, writeSafetensors } from "../../lib/model/safetensors.js";

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-safetensors-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});
const fresh = () => join(folder, `${files++}.safetensors`);

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

const tensors: fc.Arbitrary<Tensor[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__"),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    })
    .chain(({ name, shape }) => {
      const length = shape.reduce((product, side) => product * side, 1);
      return fc
        .array(fc.float(), { minLength: length, maxLength: length })
        .map((values) => ({ name, shape, values: Float32Array.from(values) }));
    }),
  { selector: ({ name }) => name, maxLength: 6 },
);

async function save(list: readonly Tensor[], metadata: Record<string, string> = {}): Promise<string> {
  const path = fresh();
  await writeSafetensors(
    path,
    list.map(({ name, shape, values }) => ({ name, shape, read: async () => values })),
    metadata,
  );
  return path;
}

/** A file of exactly this header (text or JSON) and data. */
async function raw(header: unknown, data: Uint8Array = new Uint8Array(), length?: bigint): Promise<string> {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  const path = fresh();
  await writeFile(path, Buffer.concat([prefix, text, data]));
  return path;
}

async function readAll(path: string): Promise<Map<string, Float32Array>> {
  await using file = await SafetensorsFile.open(path);
  const values = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) values.set(name, await file.read(name));
  return values;
}

const failure = (code: string) => expect.objectContaining({ name: "DdscError", code });
const f32 = (begin: number, end: number) => ({
  dtype: "F32",
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
});

describe("safetensors", () => {
  it("gives back any tensors and metadata bit for bit", async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(fc.string(), fc.string()), async (list, metadata) => {
        await using file = await SafetensorsFile.open(await save(list, metadata));
        expect([...file.tensors.keys()].sort()).toEqual(list.map(({ name }) => name).sort());
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        for (const { name, shape, values } of list) {
          expect(file.tensors.get(name)?.shape).toEqual(shape);
          expect(new Uint32Array((await file.read(name)).buffer)).toEqual(new Uint32Array(values.buffer));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("reads the files that the reference wrote", async () => {
    await using file = await SafetensorsFile.open(
      new URL("../fixtures/objectives.safetensors", import.meta.url).pathname,
    );
    expect(file.metadata.T).toBe("1000");
    expect(file.tensors.get("in.logits")).toMatchObject({ dtype: "F32", shape: [4, 32, 54] });
    expect((await file.read("in.logits")).every(Number.isFinite)).toBe(true);
  });

  it("begins the data at a multiple of eight bytes", async () => {
    const bytes = await readFile(await save([{ name: "a", shape: [], values: Float32Array.of(1) }]));
    expect(Number(bytes.readBigUInt64LE(0)) % 8).toBe(0);
  });

  it("widens half precision and bfloat16 exactly and rounds doubles", async () => {
    const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x8000);
    const brain = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80);
    const double = Float64Array.of(0.1, -2, 1e300);
    const data = Buffer.concat(
      [half, brain, double].map(({ buffer }) => new Uint8Array(buffer as ArrayBuffer)),
    );
    const values = await readAll(
      await raw(
        {
          half: { dtype: "F16", shape: [8], data_offsets: [0, 16] },
          brain: { dtype: "BF16", shape: [4], data_offsets: [16, 24] },
          double: { dtype: "F64", shape: [3], data_offsets: [24, 48] },
        },
        data,
      ),
    );
    const infinity = Number.POSITIVE_INFINITY;
    expect([...values.get("half")!]).toEqual([1, -2, 2 ** -24, 65504, infinity, -infinity, Number.NaN, -0]);
    expect([...values.get("brain")!]).toEqual([1, -2, 2 ** -133, infinity]);
    expect([...values.get("double")!]).toEqual([Math.fround(0.1), -2, infinity]);
  });

  it("names the tensor and its type where it cannot be read as numbers", async () => {
    await using file = await SafetensorsFile.open(
      await raw({ count: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, new Uint8Array(8)),
    );
    await expect(file.read("count")).rejects.toThrow(/CHECKPOINT_DTYPE.*"count" is of I64/);
    await expect(file.read("other")).rejects.toThrow(/CHECKPOINT_TENSORS.*"other"/);
  });

  it("refuses a file that is cut short anywhere", async () => {
    const bytes = await readFile(await save([{ name: "a", shape: [2, 3], values: new Float32Array(6) }]));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), async (length) => {
        const path = fresh();
        await writeFile(path, bytes.subarray(0, length));
        await expect(SafetensorsFile.open(path)).rejects.toEqual(failure("CHECKPOINT_CORRUPT"));
      }),
    );
  });

  it("never fails with anything but a DdscError, whatever the bytes", async () => {
    const good = await readFile(await save([{ name: "a", shape: [2, 3], values: new Float32Array(6) }]));
    const garbage = fc.uint8Array({ maxLength: 200 });
    const damaged = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const bytes = Uint8Array.from(good);
        for (const [place, value] of changes) bytes[place] = value;
        return bytes;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(garbage, damaged), async (bytes) => {
        const path = fresh();
        await writeFile(path, bytes);
        await readAll(path).catch((error: unknown) => expect(error).toBeInstanceOf(DdscError));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["a header that is no JSON", "{nonsense", 0, /not JSON/],
    ["a header that is a list", [], 0, /not a JSON object/],
    [
      "overlapping tensors",
      { a: f32(0, 8), b: f32(4, 12) },
      12,
      /"b" begins at byte 4 of the data instead of 8/,
    ],
    ["a hole between tensors", { a: f32(0, 4), b: f32(8, 12) }, 12, /"b" begins at byte 8/],
    ["offsets beyond the file", { a: f32(0, 400) }, 12, /take 400 bytes but 12 follow/],
    ["bytes after the tensors", { a: f32(0, 4) }, 12, /take 4 bytes but 12 follow/],
    [
      "offsets in the wrong order",
      { a: { dtype: "F32", shape: [1], data_offsets: [4, 0] } },
      4,
      /does not fill/,
    ],
    ["a negative offset", { a: { dtype: "F32", shape: [1], data_offsets: [-4, 0] } }, 4, /no proper offsets/],
    [
      "a shape that does not fill its bytes",
      { a: { dtype: "F32", shape: [3], data_offsets: [0, 4] } },
      4,
      /does not fill/,
    ],
    ["a negative length", { a: { dtype: "F32", shape: [-1], data_offsets: [0, 4] } }, 4, /no proper shape/],
    [
      "a shape beyond all memory",
      { a: { dtype: "F32", shape: [2 ** 40, 2 ** 40], data_offsets: [0, 4] } },
      4,
      /fill/,
    ],
    [
      "a name given twice",
      `{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(4, 8))}}`,
      8,
      /"a" is listed twice/,
    ],
    ["metadata that is no text", { __metadata__: { a: 1 } }, 0, /metadata/],
    ["an entry that is no object", { a: 3 }, 0, /"a" is not described/],
  ])("refuses %s", async (_, header, bytes, message) => {
    const path = await raw(header, new Uint8Array(bytes));
    await expect(SafetensorsFile.open(path)).rejects.toThrow(message);
    await expect(SafetensorsFile.open(path)).rejects.toEqual(failure("CHECKPOINT_CORRUPT"));
  });

  it("refuses a header longer than the format or the file allows without reading it", async () => {
    await expect(SafetensorsFile.open(await raw("{}", undefined, 2n ** 60n))).rejects.toThrow(
      /header would be/,
    );
    await expect(SafetensorsFile.open(await raw("{}", undefined, 3n))).rejects.toThrow(
      /header would be 3 bytes/,
    );
  });

  it("refuses a header that is too long, lists too many tensors or is nested too deeply, soon", async () => {
    const many = Array.from({ length: 70_000 }, (_, i) => `"t${i}":${JSON.stringify(f32(4 * i, 4 * i + 4))}`);
    const long = `{"a":${JSON.stringify(f32(0, 4))}}`.padEnd(17 * 2 ** 20);
    for (const [header, message] of [
      [long, /its header is 17825792 bytes long, and may have 16777216 at most/],
      [`{${many.join(",")}}`, /lists more than 65536 tensors/],
      [`{"a":${"[".repeat(2 ** 22)}`, /not JSON/],
    ] as const) {
      const path = await raw(header, new Uint8Array(4));
      await expect(SafetensorsFile.open(path)).rejects.toThrow(message);
      await expect(SafetensorsFile.open(path)).rejects.toEqual(failure("CHECKPOINT_CORRUPT"));
    }
  });

  it("refuses a pipe without waiting for it", async () => {
    const path = fresh();
    execFileSync("mkfifo", [path]);
    await expect(SafetensorsFile.open(path)).rejects.toThrow(/CHECKPOINT_READ.*it is a pipe/);
  });

  it("says which type it does not know", async () => {
    const path = await raw({ a: { dtype: "F4", shape: [2], data_offsets: [0, 1] } }, new Uint8Array(1));
    await expect(SafetensorsFile.open(path)).rejects.toThrow(/CHECKPOINT_DTYPE.*"a" has the unknown type F4/);
  });

  it("says that a file is missing or a folder", async () => {
    await expect(SafetensorsFile.open(join(folder, "absent"))).rejects.toThrow(
      /CHECKPOINT_READ.*no such file/,
    );
    await expect(SafetensorsFile.open(folder)).rejects.toThrow(/CHECKPOINT_READ.*folder/);
  });

  it("writes no file with two tensors of one name and overwrites none", async () => {
    const twice = { name: "a", shape: [1], values: Float32Array.of(1) };
    const before = await readdir(folder);
    await expect(save([twice, twice])).rejects.toEqual(failure("CHECKPOINT_NAME"));
    expect(await readdir(folder)).toEqual(before);
    const path = await save([twice]);
    await expect(writeSafetensors(path, [])).rejects.toMatchObject({ code: "EEXIST" });
  });
});
