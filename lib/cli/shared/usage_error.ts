import { DdscError } from "../../base/errors.js";

/** The command line was wrong: exit code 2, with the code `USAGE`. */
export class UsageError extends DdscError {
  constructor(message: string, options?: ErrorOptions) {
    super("USAGE", message, {}, options);
  }

  /** The same complaint of an argument check, as one about the command line. */
  static from(error: DdscError): UsageError {
    if (error instanceof UsageError) return error;
    return new UsageError(error.text, { cause: error });
  }
}
