import { DdscError, type DdscErrorPlace } from "./errors.js";

/** An error in a form that crosses threads and processes whole. */
export interface PostedError {
  /** Absent for an error that is no `DdscError`. */
  readonly code?: string;
  readonly message: string;
  readonly place: DdscErrorPlace;
  readonly stack?: string;
}

/** Takes an error apart for posting. */
export function packError(error: unknown): PostedError {
  if (!(error instanceof Error)) return { message: String(error), place: {} };
  const stack = error.stack === undefined ? {} : { stack: error.stack };
  if (!(error instanceof DdscError)) return { message: error.message, place: {}, ...stack };
  const message = error.message.slice(error.code.length + 2);
  return { code: error.code, message, place: error.place, ...stack };
}

/**
 * The error again: the same code, message and place. The cause has the stack it had.
 * @param uncoded code of one that had none, and what its message begins with; default that of a defect, as where it was thrown
 */
export function unpackError(
  posted: PostedError,
  uncoded: { readonly code: string; readonly what: string } = { code: "INTERNAL", what: "" },
): DdscError {
  const cause = new Error(posted.message);
  if (posted.stack !== undefined) cause.stack = posted.stack;
  const message = posted.code === undefined ? uncoded.what + posted.message : posted.message;
  return new DdscError(posted.code ?? uncoded.code, message, posted.place, { cause });
}
