import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { fileWriteError } from "../../lib/base/files.js";
import { writeAtomically, writeFileAtomic } from "../../lib/base/publish.js";
import { failure, temporaryFolder } from "../data/support.js";

it("a file is replaced whole and nothing else stays in the folder", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "state.json");
  await writeFileAtomic(path, "old");
  await writeFileAtomic(path, Buffer.from("new"));
  expect(readFileSync(path, "utf8")).toBe("new");
  expect(readdirSync(folder)).toEqual(["state.json"]);
});

it("a write that fails half-way leaves the old file and no temporary one", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "state.json");
  await writeFileAtomic(path, "old");
  const error = await failure(() =>
    writeAtomically(path, (temporaryPath) => {
      writeFileSync(temporaryPath, "half");
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    }),
  );
  expect(error.code).toBe("FILE_WRITE");
  expect(error.message).toContain(`${path}: cannot be written: the disk is full`);
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["state.json"]);
});

it("an error of the writer's own passes through", async () => {
  const path = join(temporaryFolder(), "state.json");
  const own = new DdscError("DATA_SHAPE", "too short");
  expect(await failure(() => writeAtomically(path, () => Promise.reject(own)))).toBe(own);
});

it("a symbolic link keeps pointing at the file that was written", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "real"));
  writeFileSync(join(folder, "real", "a"), "old");
  symlinkSync(join(folder, "real", "a"), join(folder, "link"));
  await writeFileAtomic(join(folder, "link"), "new");
  expect(readFileSync(join(folder, "real", "a"), "utf8")).toBe("new");
  expect(readdirSync(folder).sort()).toEqual(["link", "real"]);
});

it.each([
  ["ENOSPC", "the disk is full"],
  ["EROFS", "read-only"],
  ["EACCES", "permission denied"],
  ["ENOENT", "the folder does not exist"],
])("%s has its remedy in the message", (code, text) => {
  const error = fileWriteError("runs/a.h5ad", Object.assign(new Error("raw"), { code }));
  expect(error.code).toBe("FILE_WRITE");
  expect(error.message).toContain(text);
  expect(error.place.file).toBe("runs/a.h5ad");
});
