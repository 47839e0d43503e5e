import { isUrl } from "./content.js";
import type { RandomAccess } from "./random_access.js";
import { HttpFile, type HttpOptions } from "./random_access_http.js";
import { LocalFile } from "./random_access_local.js";

/** Opens a path or an http(s) address. Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE` and the errors of `HttpFile.open`. */
export function openRandomAccess(path: string, options: HttpOptions = {}): Promise<RandomAccess> {
  return isUrl(path) ? HttpFile.open(path, options) : LocalFile.open(path);
}
