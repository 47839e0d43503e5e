/** Writes a file, a folder or a zarr store for publish.test.ts: ready, then, once told to go on, moved into place. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DdscError } from "../../lib/base/errors.js";
import { writeAtomically, writeFolderAtomically } from "../../lib/base/publish.js";
import { writeZarr } from "../../lib/data/zarr/write.js";

const [kind, path = "", number = "", overwrite] = process.argv.slice(2);
const options = { overwrite: overwrite === "true" };

async function told(): Promise<void> {
  process.send?.("ready");
  await new Promise((resolve) => process.once("message", resolve));
}

async function write(): Promise<void> {
  if (kind === "store") return writeZarr(path, () => told(), options);
  if (kind === "file") {
    const file = (temporary: string) => {
      writeFileSync(temporary, number);
      return told();
    };
    return writeAtomically(path, file, options);
  }
  const folder = (temporary: string) => {
    mkdirSync(temporary);
    writeFileSync(join(temporary, "a.txt"), number);
    return told();
  };
  return writeFolderAtomically(path, folder, options);
}

const said = await write().then(
  () => "written",
  (error: unknown) => (error instanceof DdscError ? error.code : String(error)),
);
process.send?.(said, () => process.disconnect());
