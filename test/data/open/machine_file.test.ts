import { openSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mapArrays, type Numbers, writeArrays } from "../../../lib/data/io/mapped_arrays.js";
import { MachineFile } from "../../../lib/data/open/machine_file.js";
import type { Peers } from "../../../lib/data/open/share_out.js";
import { together } from "../../cluster/in_process.js";
import { failure, temporaryFolder } from "../support.js";

let folder: string;
const before = process.env.TMPDIR;
beforeEach(() => {
  folder = temporaryFolder();
  process.env.TMPDIR = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});

/** Of a rank that hears of other tokens than were written, as where it maps another file. */
function withoutTokens(peers: Peers): Peers {
  return {
    ...peers,
    gather: async (value) =>
      (await peers.gather(value)).map((told) => {
        const { result } = told as { result?: { token?: string; places?: unknown } };
        return result?.places === undefined ? told : { result: { ...result, token: "none" } };
      }) as never,
  };
}

/** What each rank has in the end, where each would write its number. */
function shared(world: number, seenBy: (peers: Peers) => Peers = (peers) => peers) {
  return together(world, async (cluster) => {
    const peers = seenBy(cluster);
    using file = await MachineFile.make(peers);
    await cluster.barrier();
    expect(readdirSync(folder)).toEqual([]);
    const own = { rank: Uint32Array.of(peers.rank), none: new Uint8Array(0), halves: Float64Array.of(0.5) };
    const { rank, none, halves } = await file.share(() => own);
    const found = { writes: file.isWriter, rank: rank![0], none: none!.length, halves: halves![0] };
    // What one does with it, another does not see.
    rank![0] = 99;
    await cluster.barrier();
    expect(rank![0]).toBe(99);
    return found;
  });
}

describe("a file of the ranks of a machine", () => {
  it("is written by the first and read by all, and has no name", async () => {
    const rest = { rank: 0, none: 0, halves: 0.5 };
    expect(await shared(3)).toEqual([
      { writes: true, ...rest },
      { writes: false, ...rest },
      { writes: false, ...rest },
    ]);
  });

  it("is another where ranks do not see one another's folders, or are of other machines", async () => {
    const elsewhere = (peers: Peers, change: (made: { path: string; machine: string }) => object): Peers => ({
      ...peers,
      gather: async (value) =>
        (await peers.gather(value)).map((told, rank) => {
          const words = told as { result: { path: string; machine: string } };
          const isOther = rank !== peers.rank && typeof words.result === "object" && "path" in words.result;
          return isOther ? { result: { ...words.result, ...change(words.result) } } : told;
        }) as never,
    });
    for (const change of [
      ({ path }: { path: string }) => ({ path: `${path}.not` }),
      () => ({ machine: "another" }),
    ]) {
      const found = await shared(3, (peers) => (peers.rank === 1 ? elsewhere(peers, change) : peers));
      expect(found.map(({ writes, rank }) => [writes, rank])).toEqual([
        [true, 0],
        [true, 1],
        [false, 0],
      ]);
    }
  });

  it("is an error of all where they cannot write, or one cannot map what was written", async () => {
    process.env.TMPDIR = join(folder, "none");
    const errors = await together(2, (peers) => failure(() => MachineFile.make(peers)));
    for (const error of errors) expect(error).toMatchObject({ code: "FILE_WRITE" });
    process.env.TMPDIR = folder;
    const unmapped = await together(3, async (cluster) => {
      const peers = cluster.rank === 1 ? withoutTokens(cluster) : cluster;
      using file = await MachineFile.make(peers);
      return await failure(() => file.share(() => ({ values: Uint32Array.of(7) })));
    });
    for (const error of unmapped) expect(error).toMatchObject({ code: "DATA_CLOSED" });
  });
});

describe("arrays in a file", () => {
  const array: fc.Arbitrary<Numbers> = fc.oneof(
    fc.uint8Array({ maxLength: 50 }),
    fc.uint32Array({ maxLength: 50 }),
    fc.float64Array({ maxLength: 50 }),
  );

  it("are those that were written, whatever their types and lengths", () => {
    const descriptor = openSync(join(folder, "arrays"), "wx+");
    fc.assert(
      fc.property(fc.dictionary(fc.string(), array, { maxKeys: 6 }), (arrays) => {
        const layout = writeArrays(descriptor, arrays);
        expect(mapArrays({ descriptor, layout })).toEqual({ ...arrays });
      }),
    );
  });

  it("are refused where the file is too short, or none", async () => {
    const path = join(folder, "arrays");
    const descriptor = openSync(path, "wx+");
    const layout = writeArrays(descriptor, { values: new Float64Array(13) });
    expect(mapArrays({ descriptor, layout })).toEqual({ values: new Float64Array(13) });
    // As where another file has the number by now.
    writeFileSync(path, new Uint8Array(200));
    const other = await failure(async () => mapArrays({ descriptor, layout }));
    expect(other).toMatchObject({ code: "DATA_CLOSED" });
    truncateSync(path, 100);
    const short = await failure(async () => mapArrays({ descriptor, layout }));
    expect(short).toMatchObject({ code: "DATA_UNREADABLE" });
    expect(short.message).toMatch(/it is shorter than it should be/);
    const none = await failure(async () => mapArrays({ descriptor: 9999, layout }));
    expect(none).toMatchObject({ code: "DATA_UNREADABLE" });
  });
});
