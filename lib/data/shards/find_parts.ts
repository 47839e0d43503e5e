import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import { errorCode } from "../../base/files.js";
import { partPath } from "./shard.js";

/** What stands for the numbers of a part in its name. */
const NUMBERS = /\.part-(\d{3,5})-of-(\d{3,5})/;

/**
 * The parts of `out` that lie beside it, by their names. Throws `PARTS_MISSING` where there is none, `PARTS_DIFFER` where there are parts of
 * different numbers of shards.
 */
export async function findParts(out: string): Promise<string[]> {
  checkKind("out", out, "text");
  const folder = dirname(out);
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  const parts = names.flatMap((name) => {
    const [, index, count] = NUMBERS.exec(name) ?? [];
    const shard = { index: Number(index), count: Number(count) };
    // NaN of other names is not within the range either.
    const isShard = shard.index >= 1 && shard.index <= shard.count;
    return isShard && basename(partPath(out, shard)) === name ? [{ name, count: shard.count }] : [];
  });
  const counts = [...new Set(parts.map(({ count }) => count))].sort((a, b) => a - b);
  const [first] = parts;
  if (first === undefined) {
    const example = basename(partPath(out, { index: 1, count: 100 }));
    throw new DdscError(
      "PARTS_MISSING",
      `${out}: there is no part of it, such as ${example}, beside it; name the parts`,
      {
        file: out,
      },
    );
  }
  if (counts.length > 1) {
    throw new DdscError(
      "PARTS_DIFFER",
      `${out}: beside it are parts of ${counts.join(" and of ")} shards; remove those that are not wanted, or name the parts`,
      { file: out },
    );
  }
  return parts.map(({ name }) => join(folder, name)).sort();
}
