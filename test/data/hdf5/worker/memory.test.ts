import { expect, it } from "vitest";
import { makeInstance } from "../../../../lib/data/hdf5/worker/instance.js";
import { loadHdf5 } from "../../../../lib/data/hdf5/worker/library.js";
import { openCells } from "../../../../lib/data/open/open_cells.js";
import { fixture } from "../../support.js";

const MIB = 2 ** 20;

it("the library gets as much memory as the largest file so far may need, and no more", async () => {
  using source = await openCells(fixture("layout_07"));
  expect(source.cellCount).toBe(6);
  const { module, memory } = await loadHdf5();
  const gets = (bytes: number): boolean => {
    const pointer = module._malloc(bytes);
    module._free(pointer);
    return pointer !== 0;
  };
  expect(gets(200 * MIB)).toBe(true);
  expect(gets(300 * MIB)).toBe(false);
  memory.admit(40 * MIB);
  expect(gets(600 * MIB)).toBe(true);
  expect(gets(1000 * MIB)).toBe(false);
  // A smaller file takes nothing away.
  memory.admit(MIB);
  expect(gets(600 * MIB)).toBe(true);
  memory.admit(1000 * MIB);
  expect(gets(1000 * MIB)).toBe(true);
});

it("the memory is the one that the library allocates from", async () => {
  const { module, memory } = await makeInstance();
  const before = memory.buffer.byteLength;
  expect(module._malloc(2 * before)).toBeGreaterThan(0);
  expect(memory.buffer.byteLength).toBeGreaterThan(2 * before);
});

it("nothing that others use of the process is changed", async () => {
  const { grow } = (
    globalThis as unknown as { WebAssembly: { Memory: { prototype: { grow: () => number } } } }
  ).WebAssembly.Memory.prototype;
  const { error } = console;
  const { module } = await loadHdf5();
  expect(Function.prototype.toString.call(grow)).toContain("[native code]");
  expect(console.error).toBe(error);
  // Their instance of the library is another one.
  const { ready } = await import("h5wasm/node");
  const other = await ready;
  expect(other).not.toBe(module);
  const pointer = other._malloc(300 * MIB);
  expect(pointer).not.toBe(0);
  other._free(pointer);
});
