import { isUrl } from "./content.js";
import type { HttpOptions } from "./http_tries.js";
import type { RandomAccess } from "./random_access.js";
import { HttpFile } from "./random_access_http.js";
import { LocalFile } from "./random_access_local.js";

/** Opens a path, an http(s) address or an object of S3. Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE` and the errors of `HttpFile.open`. */
export function openRandomAccess(path: string, options: HttpOptions = {}): Promise<RandomAccess> {
  return isUrl(path) ? HttpFile.open(path, options) : LocalFile.open(path);
}
