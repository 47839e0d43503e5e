import { LRUCache } from "lru-cache";
import { HIDDEN, withoutSecrets } from "../../base/secrets.js";
import { isUrl } from "./content.js";

/** Addresses in full by what is said of them, and users with their passwords by host. */
const inFull = new LRUCache<string, string>({ max: 10_000 });
const users = new LRUCache<string, string>({ max: 1000 });

/**
 * What is said, noted and recorded of an address: itself without password, signature or token, which this process keeps to
 * itself; see `fullAddress`. Paths stay as they are.
 */
export function publicAddress(path: string): string {
  if (!isUrl(path)) return path;
  const open = withoutSecrets(path);
  if (open === path) return path;
  if (!isHidden(path)) {
    inFull.set(open, path);
    const user = userOf(path);
    if (user !== "") users.set(hostOf(path), user);
  }
  return open;
}

/** The address in full that `publicAddress` was told, or one beside it on the same host; others stay as they are. */
export function fullAddress(path: string): string {
  if (!isUrl(path)) return path;
  const known = inFull.get(path);
  if (known !== undefined) return known;
  const user = userOf(path) === HIDDEN ? users.get(hostOf(path)) : undefined;
  return user === undefined ? path : path.replace(`//${HIDDEN}@`, () => `//${user}@`);
}

/** Whether an address lacks what `publicAddress` left out, as one out of a record does. */
export function isHidden(address: string): boolean {
  return isUrl(address) && (userOf(address) === HIDDEN || /=\*{3}(?:[&;#]|$)/.test(address));
}

function userOf(address: string): string {
  return /^[^/]*\/\/([^/?#]*)@/.exec(address)?.[1] ?? "";
}

/** Scheme, host and port. */
function hostOf(address: string): string {
  return (
    /^[^/]*\/\/[^/?#]*/
      .exec(address)?.[0]
      .replace(/\/\/.*@/, "//")
      .toLowerCase() ?? ""
  );
}
