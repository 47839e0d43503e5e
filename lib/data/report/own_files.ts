import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { DdscError } from "../../base/errors.js";
import { anndataFormat } from "../anndata/endings.js";
import { isUrl } from "../io/content.js";
import type { SourceDescriptor } from "../sources/descriptor.js";
import { type CellSource, descriptorOf } from "../sources/source.js";

/**
 * Throws `ARGUMENT_CONFLICT` where writing to `out` would replace what `source` reads, under whatever name: one of its
 * files, a file of its folder, or a folder that holds it.
 */
export async function refuseOwnFiles(source: CellSource, out: string): Promise<void> {
  for (const path of pathsOf(descriptorOf(source))) {
    const problem = await conflict(path, out);
    if (problem === undefined) continue;
    throw new DdscError(
      "ARGUMENT_CONFLICT",
      `${out}: ${problem}, which would be lost; write to another place`,
      { file: out, argument: "--out" },
    );
  }
}

/** What cells are read from on this machine; of a source that cannot be opened again nothing is known. */
function pathsOf(descriptor: SourceDescriptor | undefined): string[] {
  switch (descriptor?.kind) {
    case "file":
    case "shared":
      return isUrl(descriptor.path) ? [] : [descriptor.path];
    case "files":
      return descriptor.paths.filter((path) => !isUrl(path));
    case "subset":
      return pathsOf(descriptor.source);
    case "concatenated":
      return descriptor.sources.flatMap(pathsOf);
    case "pool":
    case "memory":
    case "simulated":
    case undefined:
      return [];
  }
}

/** How writing to `out` meets the file or folder at `path`; undefined: it does not. */
async function conflict(path: string, out: string): Promise<string | undefined> {
  const target = await whole(out);
  const own = await whole(path);
  if (own === target || (await isSameFile(path, out)))
    return `this is the file or folder ${path} that is read`;
  // A link to the file may lie in the folder, too.
  const entry = join(await whole(dirname(path)), basename(path));
  if (own.startsWith(target + sep) || entry.startsWith(target + sep))
    return `${path}, which is read, is in it`;
  const entries = await readdir(path).catch(() => undefined);
  if (entries === undefined) return undefined;
  // No folder of one data set has AnnData among its own.
  const names = entries.filter((name) => anndataFormat(name) === undefined);
  const linked = await Promise.all(names.map((name) => isSameFile(join(path, name), out)));
  const isOwn =
    target.startsWith(own + sep) &&
    anndataFormat(target) === undefined &&
    (await identity(out)) !== undefined;
  return isOwn || linked.includes(true) ? `this is part of ${path}, which is read` : undefined;
}

/** A path without links, as far as it leads to something. */
async function whole(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch {
    const above = dirname(absolute);
    return above === absolute ? absolute : join(await whole(above), basename(absolute));
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const first = await identity(one);
  return first !== undefined && first === (await identity(other));
}

/** What tells the file at a path from all others, by whatever name; undefined where there is none. */
async function identity(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
