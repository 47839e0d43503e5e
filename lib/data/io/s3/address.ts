import { DdscError } from "../../../base/errors.js";

/** An object of S3, or a prefix of several. */
export interface S3Address {
  readonly bucket: string;
  /** As it is, without escapes. */
  readonly key: string;
}

const SCHEME = /^s3:\/\//i;
/** A bucket becomes part of a host's name. */
const BUCKET = /^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){1,61}[A-Za-z0-9]$/;

/** Whether a path is the address of an object of S3: `s3://bucket/key`. */
export function isS3(path: string): boolean {
  return SCHEME.test(path);
}

/** Bucket and key of an address; `name` is for messages. Throws `DATA_UNREADABLE` for what is none. */
export function parseS3(address: string, name: string): S3Address {
  const path = address.replace(SCHEME, "");
  const slash = path.indexOf("/");
  const bucket = slash < 0 ? path : path.slice(0, slash);
  const key = slash < 0 ? "" : path.slice(slash + 1);
  if (!BUCKET.test(bucket)) throw wrong(name, "this names no bucket");
  if (key === "") throw wrong(name, "this names no object of the bucket");
  // Such steps are taken on the way to the server, escaped or not.
  if (key.split("/").some((step) => step === "." || step === ".."))
    throw wrong(name, 'keys with a step "." or ".." cannot be asked for');
  return { bucket, key };
}

/** The address of an object. */
export function s3Address({ bucket, key }: S3Address): string {
  return `s3://${bucket}/${key}`;
}

/** The address of what lies at `place`, which may begin with `../`, beside an object. */
export function besideS3(address: string, place: string): string {
  const steps = address.replace(SCHEME, "").split("/").slice(0, -1);
  for (const step of place.split("/")) {
    if (step === ".") steps.push("");
    else if (step !== "..") steps.push(step);
    // Above the bucket there is nothing.
    else if (steps.length > 1) steps.pop();
  }
  return `s3://${steps.join("/")}`;
}

function wrong(name: string, what: string): DdscError {
  return new DdscError(
    "DATA_UNREADABLE",
    `${name}: ${what}; write s3://BUCKET/KEY, or s3://BUCKET/PREFIX/*.parquet for several`,
    { file: name },
  );
}
