import { describe, expect, it } from "vitest";
import { checkNumber, DdscError } from "../../../lib/base/errors.js";
import { inOptionNames } from "../../../lib/cli/shared/argument_names.js";

const OPTIONS = ["batch", "batchTokens", "maxLength", "minGenes", "seed", "holdout"];

function renamed(message: string, argument?: string): DdscError {
  const error = new DdscError("SOME_CODE", message, argument === undefined ? {} : { argument });
  return inOptionNames(error, OPTIONS);
}

describe("inOptionNames", () => {
  it("writes arguments of the API as the command's options, in the message and in the place", () => {
    const error = renamed("does not fit; raise batchTokens or lower maxLength", "batchTokens");
    expect(error.message).toBe("SOME_CODE: does not fit; raise --batch-tokens or lower --max-length");
    expect(error.place).toEqual({ argument: "--batch-tokens" });
  });

  it("knows arguments whose option has another name", () => {
    expect(renamed("batchCells and validation.where, too").message).toBe(
      "SOME_CODE: --batch and --holdout, too",
    );
  });

  it("takes a plain word for an argument only where the error is about it", () => {
    expect(renamed("the seed of the batch").message).toBe("SOME_CODE: the seed of the batch");
    try {
      checkNumber("seed", -1, { min: 0 });
      expect.unreachable();
    } catch (error) {
      const { message } = inOptionNames(error as DdscError, OPTIONS);
      expect(message).toBe("ARGUMENT_RANGE: expected a number >= 0 for --seed but received -1");
    }
  });

  it("leaves names, paths and arguments that the command has no option for alone", () => {
    for (const message of [
      "/data/maxLength/cells.h5ad: no",
      "maxLength.h5ad: no",
      'no column "minGenes"',
      "pass geneTable",
    ]) {
      const error = new DdscError("SOME_CODE", message, { file: "x" });
      expect(inOptionNames(error, OPTIONS)).toBe(error);
    }
  });

  it("keeps the place that the error came from for --debug", () => {
    const error = new DdscError("SOME_CODE", "raise batchTokens");
    const shown = inOptionNames(error, OPTIONS);
    expect(shown.cause).toBe(error);
    expect(shown.stack).toBe(error.stack?.replace("batchTokens", "--batch-tokens"));
  });
});
