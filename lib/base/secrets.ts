import { timingSafeEqual } from "node:crypto";

/** Stands for what an address holds that nobody else should read. */
export const HIDDEN = "***";

/** User and password of an address: what stands before the @ of its host. */
const USER_INFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"'<>\\]*(?:@[^\s/?#@"'<>\\]*)*@/gi;
/** Names of parameters by which signed addresses (S3, Google, Azure, CloudFront) and services let one in. */
const SECRET_PARAMETER =
  /([?&;#](?:[^=&;\s"'<>]*(?:signature|credential|token|secret|passw|api[-_]?key|access[-_]?key)[^=&;\s"'<>]*|sig|key|pwd|auth|policy|key-pair-id)=)[^&;#\s"'<>\\]*/gi;

/** Text in which addresses have neither user, password, signature nor token any more. */
export function withoutSecrets(text: string): string {
  if (!text.includes("://")) return text;
  return text.replaceAll(USER_INFO, `$1${HIDDEN}@`).replaceAll(SECRET_PARAMETER, `$1${HIDDEN}`);
}

/** Whether two texts are the same, in a time that tells nothing of where they differ. */
export function isSameSecret(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
