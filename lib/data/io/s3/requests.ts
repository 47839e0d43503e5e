import { AwsV4Signer } from "aws4fetch";
import { LRUCache } from "lru-cache";
import { fetched } from "../http_request.js";
import { type S3Settings, s3Settings } from "./environment.js";
import { readRefusal } from "./refusals.js";

/** Asks S3 for an object, or with a query and no key for something of the bucket. */
export interface S3Request {
  readonly bucket: string;
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent without a signature: what is on the way may change them. */
  readonly headers: Readonly<Record<string, string>>;
  /** For messages. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Statuses with which S3 says that a bucket is in another region. */
const ELSEWHERE = new Set([301, 307, 400]);
/** Regions that servers have named, by endpoint and bucket. */
const regions = new LRUCache<string, string>({ max: 1000 });
/** Keys that signatures are made with, of a day and region: one a process, as a rule. */
const signingKeys = new Map<string, ArrayBuffer>();
const MOST_SIGNING_KEYS = 64;

/**
 * The answer to a request, signed where the environment has credentials. Where S3 says that the bucket is in another region, that one is
 * asked, once; no other redirect is followed. Throws `STORAGE_ENVIRONMENT`, and as `ask`.
 */
export async function askS3(request: S3Request): Promise<Response> {
  const { bucket, headers, name, signal } = request;
  const settings = s3Settings();
  const place = `${settings.endpoint?.href ?? ""} ${bucket}`;
  const region = regions.get(place) ?? settings.region;
  const send = async (to: string): Promise<Response> => {
    const url = addressOf(settings, to, request);
    const signed = await signature(settings, to, url);
    return fetched(url, { headers: { ...headers, ...signed }, redirect: "manual", signal }, name);
  };
  const response = await send(region);
  if (!ELSEWHERE.has(response.status)) return response;
  const { answer, region: other } = await readRefusal(response);
  if (other === undefined || other === region) return answer;
  regions.set(place, other);
  return send(other);
}

/**
 * Other services, and buckets whose name does not go into a host's, have the bucket in the path; AWS's own in the host, of
 * which a certificate covers one step.
 */
function addressOf({ endpoint }: S3Settings, region: string, { bucket, key, query }: S3Request): URL {
  const isHost = endpoint === undefined && /^[a-z0-9-]+$/.test(bucket);
  const suffix = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const host = `https://${isHost ? `${bucket}.` : ""}s3.${region}.${suffix}`;
  const base = endpoint === undefined ? host : endpoint.href.replace(/\/+$/, "");
  const path = key.split("/").map(escaped).join("/");
  const search = Object.entries(query ?? {}).map(([name, value]) => `${name}=${escaped(value)}`);
  return new URL(
    `${base}/${isHost ? "" : `${bucket}/`}${path}${search.length === 0 ? "" : `?${search.join("&")}`}`,
  );
}

/** As signatures have it: more than `encodeURIComponent` escapes, and no `+` for a blank. */
function escaped(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

async function signature(
  { credentials }: S3Settings,
  region: string,
  url: URL,
): Promise<Record<string, string>> {
  if (credentials === undefined) return {};
  if (signingKeys.size > MOST_SIGNING_KEYS) signingKeys.clear();
  const signer = new AwsV4Signer({
    url: url.href,
    ...credentials,
    service: "s3",
    region,
    cache: signingKeys,
  });
  return Object.fromEntries((await signer.sign()).headers);
}
