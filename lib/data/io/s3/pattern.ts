import { Minimatch } from "minimatch";
import { publicAddress } from "../addresses.js";
import { isGlob } from "../glob.js";
import type { HttpOptions } from "../http_tries.js";
import { parseS3, s3Address } from "./address.js";
import { listS3 } from "./listing.js";

/** What a prefix that ends with a slash stands for: formats that are read by ranges. */
const BELOW = "**/*.{parquet,arrow,PARQUET,ARROW}";

/**
 * Addresses of the objects that an address stands for, in alphabetical order: those that a pattern fits (see `expandGlob`), those of
 * Parquet and Arrow below a prefix that ends with a slash; itself where it is neither, or there is an object of just this key.
 * Throws as `listS3`; none where nothing fits.
 */
export async function expandS3(address: string, options: HttpOptions = {}): Promise<string[]> {
  const name = publicAddress(address);
  const isPrefix = address.endsWith("/");
  if (!isPrefix && !isGlob(address)) return [address];
  // A prefix may be empty: the whole bucket.
  const { bucket, key } = parseS3(isPrefix ? `${address}${BELOW}` : address, name);
  const prefix = isPrefix ? key.slice(0, -BELOW.length) : key.slice(0, key.search(/[*?[{]/));
  const rest = key.slice(prefix.length);
  const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  const isFlat = !rest.includes("/") && !rest.includes("**");
  const keys = await listS3({ bucket, prefix, isFlat, name }, options);
  if (!isPrefix && keys.includes(key)) return [address];
  const pattern = new Minimatch(key.slice(folder.length).replaceAll("\\", "\\\\"), {
    noext: true,
    nocomment: true,
    nonegate: true,
    preserveMultipleSlashes: true,
  });
  const fitting = keys.filter((one) => pattern.match(one.slice(folder.length)));
  return fitting.sort().map((one) => s3Address({ bucket, key: one }));
}
