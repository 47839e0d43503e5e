import { env } from "node:process";
import { DdscError } from "../../../base/errors.js";

/** What signs a request. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Where buckets are, and as whom they are read. */
export interface S3Settings {
  /** Of another service than that of AWS, such as MinIO. */
  readonly endpoint: URL | undefined;
  readonly region: string;
  /** Undefined: requests are not signed. */
  readonly credentials: S3Credentials | undefined;
}

const DEFAULT_REGION = "us-east-1";
/** A region becomes part of a host's name. */
const REGION = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/i;

/** Whether a server's or user's word may be a region. */
export function isRegion(text: string): boolean {
  return REGION.test(text);
}

/** The settings in the variables that AWS's own tools read. Throws `STORAGE_ENVIRONMENT`, which names a variable and never its value. */
export function s3Settings(): S3Settings {
  const region = variable("AWS_REGION") ?? variable("AWS_DEFAULT_REGION") ?? DEFAULT_REGION;
  if (!isRegion(region)) {
    const name = variable("AWS_REGION") === undefined ? "AWS_DEFAULT_REGION" : "AWS_REGION";
    throw wrong(`${name} is no region; set one such as us-east-1`);
  }
  return { endpoint: endpoint(), region, credentials: credentials() };
}

function credentials(): S3Credentials | undefined {
  const accessKeyId = variable("AWS_ACCESS_KEY_ID");
  const secretAccessKey = variable("AWS_SECRET_ACCESS_KEY");
  const sessionToken = variable("AWS_SESSION_TOKEN");
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = accessKeyId === undefined ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY";
    throw wrong(`${missing} is not set, though its partner is; set both, or neither for a public bucket`);
  }
  // In a header they would end in an error that quotes them.
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]) {
    if (!/^[!-~]*$/.test(variable(name) ?? ""))
      throw wrong(`${name} holds blanks, line breaks or letters that none does; set it again`);
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function endpoint(): URL | undefined {
  const name = variable("AWS_ENDPOINT_URL_S3") === undefined ? "AWS_ENDPOINT_URL" : "AWS_ENDPOINT_URL_S3";
  const text = variable(name);
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood =
    (url?.protocol === "https:" || url?.protocol === "http:") &&
    [url.username, url.password, url.search, url.hash].every((part) => part === "");
  if (url === undefined || !isGood)
    throw wrong(
      `${name} is no address of a service; set one such as https://minio.example:9000, without password or query`,
    );
  return url;
}

/** An empty variable is as none. */
function variable(name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function wrong(what: string): DdscError {
  return new DdscError("STORAGE_ENVIRONMENT", what);
}
