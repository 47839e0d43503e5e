import { execFileSync } from "node:child_process";
import { afterEach, expect, it, vi } from "vitest";
import * as workerUrls from "../../../lib/base/worker_url.js";
import { Hdf5File } from "../../../lib/data/hdf5/file.js";
import { nodeProgramOf } from "../../node_program.js";
import { failure, fixture } from "../support.js";

const PATH = fixture("layout_07");

vi.mock("../../../lib/base/worker_url.js", { spy: true });

afterEach(() => vi.mocked(workerUrls.workerUrl).mockRestore());

/** Has the next thread run this program. */
function replaceThread(program: string): void {
  vi.mocked(workerUrls.workerUrl).mockReturnValueOnce(
    new URL(`data:text/javascript,${encodeURIComponent(program)}`),
  );
}

it("a thread that fails tells why, and files that it had open stay failed", async () => {
  replaceThread(
    'import { parentPort } from "node:worker_threads"; parentPort.on("message", ({ id, name }) => {' +
      'if (name !== "open") throw new Error("worn out"); parentPort.postMessage({ id, value: 1 }); });',
  );
  const file = await Hdf5File.open(PATH);
  expect((await failure(() => file.kind("/X"))).message).toContain("worn out");
  expect((await failure(() => file.members("/"))).code).toBe("DATA_UNREADABLE");
  file[Symbol.dispose]();
  expect((await failure(() => file.members("/"))).code).toBe("DATA_CLOSED");
});

it("a thread that ends is an error of all who wait for it, and the next file has a new one", async () => {
  replaceThread(
    'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(3));',
  );
  const errors = await Promise.all([1, 2].map(() => failure(() => Hdf5File.open(PATH))));
  for (const { code, message } of errors) {
    expect(code).toBe("DATA_UNREADABLE");
    expect(message).toContain("it ended by itself with code 3");
  }
  using file = await Hdf5File.open(PATH);
  expect(await file.kind("/X")).toBe("group");
});

it("calls about several files at once are answered each for its own", async () => {
  const paths = [PATH, fixture("csr"), PATH, fixture("csc")];
  const files = await Promise.all(paths.map((path) => Hdf5File.open(path)));
  const shapes = await Promise.all(files.map(async (file) => (await file.array("/X/indptr")).shape));
  expect(shapes).toEqual([[7], [7], [7], [6]]);
  files[0]?.[Symbol.dispose]();
  expect(await files[2]?.kind("/X")).toBe("group");
  for (const file of files) file[Symbol.dispose]();
});

it("the library is not run in the thread that asks, and an open file does not keep the process alive", async () => {
  const program = await nodeProgramOf(`
    import { openCells } from "./lib/index.js";
    const { instantiate } = WebAssembly;
    let made = 0;
    WebAssembly.instantiate = (...words) => {
      made++;
      return instantiate(...words);
    };
    const source = await openCells(${JSON.stringify(PATH)});
    console.log(source.cellCount, made);`);
  expect(execFileSync(process.execPath, program, { encoding: "utf8" })).toBe("6 0\n");
});
