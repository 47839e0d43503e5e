import { DdscError } from "../../../base/errors.js";
import { Transient } from "../http_request.js";
import { allHttpOptions, type HttpOptions, repeat, watched } from "../http_tries.js";
import { s3Refusal } from "./refusals.js";
import { askS3 } from "./requests.js";
import { readText } from "./text.js";
import { readXml } from "./xml.js";

/** What is listed. */
export interface S3Prefix {
  readonly bucket: string;
  /** What keys begin with. */
  readonly prefix: string;
  /** Whether keys with a further slash are passed over. */
  readonly isFlat: boolean;
  /** For messages. */
  readonly name: string;
}

/** One answer of a list. */
interface Page {
  readonly keys: readonly string[];
  /** Where the list goes on; undefined at its end. */
  readonly next: string | undefined;
}

/** A page has at most 1,000 keys of 1,024 bytes, escaped. */
const MOST_BYTES = 1 << 24;
const MOST_KEYS = 1_000_000;

/**
 * The keys of a bucket that begin with a prefix, in the order of the service; not those that end with a slash, which stand
 * for folders. Throws `DATA_TOO_LARGE` for more than a million, `DATA_UNREADABLE`, also for a list that does not come whole,
 * `DATA_NOT_FOUND` for a bucket there is not, `DATA_ACCESS_DENIED`, `STORAGE_ENVIRONMENT`.
 */
export async function listS3(where: S3Prefix, options: HttpOptions = {}): Promise<string[]> {
  const all = allHttpOptions(options);
  const keys: string[] = [];
  const asked = new Set<string>();
  for (let from: string | undefined; ; ) {
    const page: Page = await repeat(where.name, all, undefined, () => readPage(where, from, all));
    for (const key of page.keys) if (!key.endsWith("/")) keys.push(key);
    if (keys.length > MOST_KEYS) {
      throw new DdscError(
        "DATA_TOO_LARGE",
        `${where.name}: more than ${MOST_KEYS} objects begin so; give a longer prefix`,
        { file: where.name },
      );
    }
    from = page.next;
    if (from === undefined) return keys;
    if (asked.has(from)) {
      throw new DdscError(
        "DATA_UNREADABLE",
        `${where.name}: the server's list of objects leads back to where it was; list fewer, or name the files`,
        { file: where.name },
      );
    }
    asked.add(from);
  }
}

function readPage(
  { bucket, prefix, isFlat, name }: S3Prefix,
  from: string | undefined,
  options: Required<HttpOptions>,
): Promise<Page> {
  const query = {
    "list-type": "2",
    prefix,
    // XML cannot hold every character of a key.
    "encoding-type": "url",
    ...(isFlat ? { delimiter: "/" } : {}),
    ...(from === undefined ? {} : { "continuation-token": from }),
  };
  return watched(name, options, undefined, async (signal, clock) => {
    const response = await askS3({ bucket, key: "", query, headers: {}, name, signal });
    clock.begin();
    if (response.status !== 200) {
      const refusal = await s3Refusal(response, name);
      throw refusal ?? new Transient(`the server answered ${response.status} to a request for a list`);
    }
    return parsePage(await readText(response, MOST_BYTES, clock));
  });
}

/** Throws `Transient` for a list that is not whole. */
function parsePage(document: string): Page {
  const keys: string[] = [];
  const fields = new Map<string, string>();
  let groups = 0;
  const isWhole = readXml(document, (names, text) => {
    if (names[0] !== "ListBucketResult") return;
    const [, first, second] = names;
    if (names.length === 2 && first !== undefined) fields.set(first, text);
    if (names.length === 2 && first === "CommonPrefixes") groups++;
    if (names.length === 3 && first === "Contents" && second === "Key") keys.push(text);
  });
  const isTruncated = fields.get("IsTruncated");
  const count = fields.get("KeyCount");
  const next = fields.get("NextContinuationToken");
  if (!isWhole || (isTruncated !== "true" && isTruncated !== "false"))
    throw new Transient("the list of objects does not come whole");
  if (count !== undefined && Number(count) !== keys.length + groups)
    throw new Transient(`the list of objects has ${keys.length + groups} of ${count}`);
  if (isTruncated === "true" && (next === undefined || next === ""))
    throw new Transient("the list of objects does not say where it goes on");
  const isEscaped = fields.get("EncodingType") === "url";
  return {
    keys: isEscaped ? keys.map(unescaped) : keys,
    next: isTruncated === "true" ? next : undefined,
  };
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch {
    throw new Transient("the list of objects holds a key that cannot be read");
  }
}
