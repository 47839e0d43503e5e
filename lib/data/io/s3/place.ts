import { publicAddress } from "../addresses.js";
import type { Place } from "../http_place.js";
import { parseS3 } from "./address.js";
import { s3Settings } from "./environment.js";
import { s3Refusal } from "./refusals.js";
import { askS3 } from "./requests.js";

/** An object of S3, as a file that is asked for. Throws `DATA_UNREADABLE` for an address that names none. */
export function s3Place(address: string): Place {
  const name = publicAddress(address);
  const { bucket, key } = parseS3(address, name);
  return {
    name,
    service: s3Settings().endpoint?.href ?? "",
    hosts: new Set(),
    ask: (headers, signal) => askS3({ bucket, key, headers, name, signal }),
    refusal: (response) => s3Refusal(response, name),
  };
}
