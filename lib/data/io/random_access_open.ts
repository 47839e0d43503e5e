import { CachedFile } from "./cache/cached_file.js";
import { blockCache } from "./cache/settings.js";
import { isUrl } from "./content.js";
import type { HttpOptions } from "./http_tries.js";
import type { FileIdentity, RandomAccess } from "./random_access.js";
import { HttpFile } from "./random_access_http.js";
import { LocalFile } from "./random_access_local.js";

/**
 * Opens a path, an http(s) address or an object of S3. Of addresses, blocks
 * are kept where `DDSC_CACHE_DIR` says so. Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`, `CACHE_BYTES` and the errors of `HttpFile.open`.
 */
export async function openRandomAccess(path: string, options: HttpOptions = {}): Promise<RandomAccess> {
  if (!isUrl(path)) return LocalFile.open(path);
  const cache = await blockCache();
  const file = await HttpFile.open(path, options);
  // Of what has no version, old blocks could not be told from new ones.
  return cache === undefined || file.version === undefined ? file : new CachedFile(file, cache);
}

/** Throws for a file that is not to be read. */
export type CheckIdentity = (identity: FileIdentity) => void;

/** As `openRandomAccess`, and throws what `check` does; the file is closed then. */
export async function openChecked(path: string, check: CheckIdentity | undefined): Promise<RandomAccess> {
  const file = await openRandomAccess(path);
  try {
    check?.(file.identity);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}
