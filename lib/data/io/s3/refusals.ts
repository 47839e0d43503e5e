import { DdscError } from "../../../base/errors.js";
import { Transient } from "../http_request.js";
import { busyError } from "../http_tries.js";
import { isRegion, s3Settings } from "./environment.js";
import { readText } from "./text.js";
import { readXml } from "./xml.js";

/** What S3 says of a request that it does not grant. */
export interface S3Refusal {
  /** The answer, to be read again. */
  readonly answer: Response;
  /** S3's own word for the reason. */
  readonly code: string | undefined;
  /** Where the bucket is. */
  readonly region: string | undefined;
}

/** The document that says why; more is not read. */
const MOST_BYTES = 1 << 16;

const REFUSED_CREDENTIALS = new Set([
  "InvalidAccessKeyId",
  "InvalidClientTokenId",
  "InvalidToken",
  "NotSignedUp",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
  "UnrecognizedClientException",
]);
const BUSY = new Set(["InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"]);

/** Reads what an answer that is no success says. */
export async function readRefusal(response: Response): Promise<S3Refusal> {
  const { status, headers } = response;
  const text = await readText(response, MOST_BYTES).catch(() => "");
  let code: string | undefined;
  const regions = [headers.get("x-amz-bucket-region") ?? ""];
  readXml(text, (names, value) => {
    // Other elements hold what was signed, and the key that it was signed with.
    if (names.length !== 2 || names[0] !== "Error") return;
    if (names[1] === "Code" && /^[A-Za-z0-9.]{1,64}$/.test(value)) code = value;
    if (names[1] === "Region") regions.push(value);
  });
  const region = regions.find(isRegion);
  return { answer: new Response(text, { status, headers }), code, region };
}

/**
 * The error for an answer that is no success: `DATA_NOT_FOUND`, `DATA_ACCESS_DENIED`, `DATA_UNREADABLE`, or one that may be
 * tried again; undefined where its status says all. It names the object, and neither keys nor what the server quotes.
 */
export async function s3Refusal(response: Response, name: string): Promise<Error | undefined> {
  const { answer, code, region } = await readRefusal(response);
  const { status } = answer;
  const place = { file: name };
  const said = code === undefined ? `${status}` : `${status} (${code})`;
  if (status < 300 || status === 416) return undefined;
  const busy = busyError(answer);
  if (busy !== undefined) return busy;
  if (code !== undefined && BUSY.has(code)) return new Transient(`the server answered ${said}`);
  if (code === "NoSuchBucket")
    return new DdscError(
      "DATA_NOT_FOUND",
      `${name}: there is no such bucket${where()}; check its name`,
      place,
    );
  if (status === 404)
    return new DdscError(
      "DATA_NOT_FOUND",
      `${name}: there is no such object${where()}; check bucket and key`,
      place,
    );
  if (status === 301 || status === 307 || code === "AuthorizationHeaderMalformed") {
    const remedy = region === undefined ? "set AWS_REGION to its region" : `set AWS_REGION=${region}`;
    return new DdscError(
      "DATA_UNREADABLE",
      `${name}: the bucket is in another region or at another address (${said}); ${remedy}, or AWS_ENDPOINT_URL_S3 to the address of its service`,
      place,
    );
  }
  const denied = (what: string) => new DdscError("DATA_ACCESS_DENIED", `${name}: ${what}`, place);
  if (code === "ExpiredToken")
    return denied(
      `the credentials in AWS_SESSION_TOKEN have expired (${said}); get new ones, set all three variables, then run again`,
    );
  if (code === "RequestTimeTooSkewed" || code === "RequestExpired")
    return denied(`the server says that this machine's clock is wrong (${said}); set it`);
  if (code !== undefined && REFUSED_CREDENTIALS.has(code))
    return denied(
      `the server does not accept the credentials (${said}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or unset them for a public bucket`,
    );
  if (status === 401 || status === 403) return denied(`${deniedText(said)}`);
  return new DdscError(
    "DATA_UNREADABLE",
    `${name}: the server answered ${said}; check bucket and key`,
    place,
  );
}

function deniedText(said: string): string {
  if (s3Settings().credentials !== undefined)
    return `the credentials of AWS_ACCESS_KEY_ID may not read it, or it is not there (${said}); check bucket and key, and that they are allowed s3:GetObject and, for patterns, s3:ListBucket`;
  return `it may not be read without credentials, or it is not there (${said}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (aws configure export-credentials --format env prints those of a profile)`;
}

function where(): string {
  const { endpoint } = s3Settings();
  return endpoint === undefined ? "" : ` at ${endpoint.host}`;
}
