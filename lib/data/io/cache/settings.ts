import { env } from "node:process";
import { DdscError } from "../../../base/errors.js";
import { BlockCache, SLOT_BYTES } from "./block_cache.js";

const DEFAULT_BYTES = 10 * 2 ** 30;
const UNITS = ["", "K", "M", "G", "T"];

let known: { readonly key: string; readonly cache: Promise<BlockCache> } | undefined;

/**
 * The cache of this thread for blocks of files behind addresses, in the folder `DDSC_CACHE_DIR`; undefined where that is not set. Throws
 * `CACHE_BYTES` where `DDSC_CACHE_BYTES` is no size.
 */
export async function blockCache(): Promise<BlockCache | undefined> {
  const folder = env.DDSC_CACHE_DIR ?? "";
  if (folder === "") return undefined;
  const bytes = sizeOf(env.DDSC_CACHE_BYTES ?? "");
  const key = `${folder}\n${bytes}`;
  if (known?.key !== key) known = { key, cache: BlockCache.open(folder, bytes) };
  return known.cache;
}

/** Bytes of a size such as 500G or 1048576; units are powers of 1,024. */
function sizeOf(text: string): number {
  if (text === "") return DEFAULT_BYTES;
  const [, number = "", unit = ""] = /^(\d{1,16})([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const bytes = number === "" ? Number.NaN : Number(number) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (Number.isSafeInteger(bytes) && bytes >= SLOT_BYTES) return bytes;
  throw new DdscError(
    "CACHE_BYTES",
    `DDSC_CACHE_BYTES is no size of ${SLOT_BYTES} bytes or more; set a number of bytes, or one with K, M, G or T such as 200G`,
  );
}
