import { readFileSync } from "node:fs";
import { Message, tableFromIPC } from "apache-arrow";
import { FileBlock, Footer } from "apache-arrow/ipc/metadata/file";
import { RecordBatch as BatchHeader, FieldNode } from "apache-arrow/ipc/metadata/message";
import { describe, expect, it } from "vitest";
import { openArrow } from "../../../lib/data/arrow/arrow.js";
import { CheckedBytes } from "../../../lib/data/arrow/checked_bytes.js";
import { memoryFile, tahoeFolder } from "../support.js";

/** The bodies of a stream as a file whose footer lists what it is told to. */
function fileWith(
  stream: Uint8Array,
  batches: readonly FileBlock[],
  dictionaries: readonly FileBlock[] = [],
): Uint8Array {
  const footer = Footer.encode(
    new Footer(tableFromIPC(stream).schema, undefined, [...batches], [...dictionaries]),
  );
  const length = Buffer.alloc(4);
  length.writeInt32LE(footer.length);
  return Buffer.concat([Buffer.from("ARROW1\0\0"), stream, footer, length, Buffer.from("ARROW1")]);
}

/** Where the messages of a stream begin. */
function messagesOf(stream: Buffer): number[] {
  const places: number[] = [];
  for (let at = 0; at + 8 < stream.length; ) {
    places.push(at);
    const end = at + 8 + stream.readUInt32LE(at + 4);
    at = end + Message.decode(stream.subarray(at + 8, end)).bodyLength;
  }
  return places;
}

/** Ends in cells or in a DdscError, soon. */
async function isBounded(bytes: Uint8Array): Promise<boolean> {
  const start = performance.now();
  let refused = false;
  try {
    using source = await openArrow(memoryFile(bytes), {});
    await source.read(Int32Array.from(source.cellCount > 0 ? [0] : []));
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^DATA_/) });
    refused = true;
  }
  expect(performance.now() - start).toBeLessThan(5000);
  return refused;
}

describe("an Arrow file", () => {
  it.each(["file.arrow", "stream.arrow", "lz4.arrow", "zstd_file.arrow"])(
    "%s cut off within its batches is refused",
    async (name) => {
      const whole = readFileSync(tahoeFolder + name);
      for (let length = 0; length < whole.length - 400; length += 97) {
        const reading = async () => {
          using source = await openArrow(memoryFile(whole.subarray(0, length)), {});
          // Between two batches nothing can tell but that the end mark is missing.
          expect(source.notes.join()).toContain("end mark");
          throw Object.assign(new Error(), { code: "DATA_TRUNCATED" });
        };
        await expect(reading(), `at ${length}`).rejects.toMatchObject({
          code: expect.stringMatching(/^DATA_(TRUNCATED|CORRUPT)$/),
        });
      }
    },
  );

  it("whose batch claims a body of terabytes is refused", async () => {
    const bytes = readFileSync(`${tahoeFolder}stream.arrow`);
    // Lengths of bodies are 64-bit numbers in the headers: make each plausible one huge in turn.
    let refused = 0;
    for (let at = 8; at + 8 < bytes.length; at += 8) {
      const damaged = Buffer.from(bytes);
      damaged.writeBigInt64LE(2n ** 43n, at);
      try {
        using source = await openArrow(memoryFile(damaged), {});
        await source.read(Int32Array.from(source.cellCount > 0 ? [0] : []));
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^DATA_/) });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});

describe("an Arrow file's footer", () => {
  const stream = readFileSync(`${tahoeFolder}stream.arrow`);
  // Behind the magic, and without the schema.
  const places = messagesOf(stream).map((at) => at + 8);
  const blocks = places.slice(1).map((at) => new FileBlock(0, 0, at));

  it("tells where batches are, in its order", async () => {
    using source = await openArrow(memoryFile(fileWith(stream, [...blocks].reverse())), {});
    expect(source.cellCount).toBe(30);
    expect((await source.cellIds(Int32Array.of(0)))[0]).toBe("AAAC-024");
  });

  it.each([
    ["behind the file's end", 2 ** 43],
    ["before its beginning", -8],
    ["at its schema", 8],
    ["within a batch", (places[1] ?? 0) + 16],
  ] as const)("that lists a batch %s is refused", async (_, at) => {
    const bytes = fileWith(stream, [...blocks, new FileBlock(0, 0, at)]);
    await expect(openArrow(memoryFile(bytes), {})).rejects.toMatchObject({
      code: expect.stringMatching(/^DATA_(TRUNCATED|CORRUPT)$/),
      place: { file: `${tahoeFolder}damaged` },
    });
  });

  it("that replaces a dictionary is refused", async () => {
    const coded = readFileSync(`${tahoeFolder}coded.arrow`);
    const [, dictionary = 0, ...batches] = messagesOf(coded).map((at) => new FileBlock(0, 0, at + 8));
    const dictionaries = [dictionary, dictionary] as FileBlock[];
    using once = await openArrow(memoryFile(fileWith(coded, batches, dictionaries.slice(1))), {});
    expect(once.cellCount).toBe(30);
    await expect(openArrow(memoryFile(fileWith(coded, batches, dictionaries)), {})).rejects.toMatchObject({
      code: "DATA_CORRUPT",
      message: expect.stringContaining("replaces a dictionary"),
    });
  });

  it.each([-1, 2 ** 31 - 1])("that claims %i bytes is refused", async (length) => {
    const bytes = Buffer.from(fileWith(stream, blocks));
    bytes.writeInt32LE(length, bytes.length - 10);
    await expect(openArrow(memoryFile(bytes), {})).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  });
});

it("a batch that claims more values than its bytes hold is refused, however many rows it claims", async () => {
  const stream = readFileSync(`${tahoeFolder}stream.arrow`);
  const at = messagesOf(stream)[1] ?? 0;
  const message = Message.decode(stream.subarray(at + 8, at + 8 + stream.readUInt32LE(at + 4)));
  const { nodes, buffers } = message.header() as BatchHeader;
  const claimed = nodes.map(() => new FieldNode(2 ** 50, 0));
  const header = Message.encode(
    Message.from(new BatchHeader(2 ** 31 - 1, claimed, buffers, null), message.bodyLength),
  );
  const prefix = Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]);
  prefix.writeUInt32LE(header.length, 4);
  const body = Buffer.alloc(message.bodyLength);
  const bytes = Buffer.concat([stream.subarray(0, at), prefix, header, body]);
  await expect(openArrow(memoryFile(bytes), {})).rejects.toMatchObject({
    code: "DATA_CORRUPT",
    message: expect.stringContaining(`column genes claims ${2 ** 50} values`),
  });
});

it.each(["stream.arrow", "file.arrow", "coded.arrow"])(
  "any number of %s may claim a billion, which is refused or passed over soon",
  async (name) => {
    const bytes = readFileSync(tahoeFolder + name);
    let refused = 0;
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt32LE(0x3fff_fff8, at);
      if (await isBounded(damaged)) refused++;
    }
    expect(refused).toBeGreaterThan(100);
  },
  60_000,
);

describe("a header", () => {
  it("that refers to bytes outside itself is refused", () => {
    const bytes = new CheckedBytes(new Uint8Array(8));
    expect(bytes.readInt32(4)).toBe(0);
    for (const at of [-1, 5, 8, 2 ** 31]) expect(() => bytes.readInt32(at)).toThrow("outside itself");
    expect(() => bytes.readInt64(1)).toThrow("outside itself");
    expect(() => bytes.readUint16(7)).toThrow("outside itself");
    expect(() => bytes.readInt8(8)).toThrow("outside itself");
  });

  it("whose text is longer than it is refused", () => {
    const text = Uint8Array.of(4, 0, 0, 0, 3, 0, 0, 0, 97, 98, 99);
    expect(new CheckedBytes(text).__string(0)).toBe("abc");
    text[4] = 4;
    expect(() => new CheckedBytes(text).__string(0)).toThrow("outside itself");
  });

  it("of columns that hold themselves is refused", () => {
    // A table with a field that refers to the table itself, gone down for ever.
    const bytes = new CheckedBytes(Uint8Array.of(6, 0, 8, 0, 4, 0, 6, 0, 0, 0, 252, 255, 255, 255));
    const descend = (): never => {
      bytes.readInt32(10);
      return descend();
    };
    expect(descend).toThrow("contains itself");
  });
});
