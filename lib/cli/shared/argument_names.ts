import { DdscError } from "../../base/errors.js";
import { flagOf } from "./option_kinds.js";

/** Arguments of the API whose options have another name. */
const OPTION_OF: Readonly<Record<string, string>> = {
  accumulation: "accumulate",
  batchCells: "batch",
  "checkpoint.every": "checkpointEvery",
  "checkpoint.keep": "keep",
  maxTokens: "batchTokens",
  optimizerShare: "shardOptimizer",
  "sampler.kind": "sampler",
  "sampler.steps": "samplingSteps",
  "validation.cells": "validationCells",
  "validation.every": "validateEvery",
  "validation.fraction": "validation",
  "validation.where": "holdout",
};

/** The option that stands for an argument: `--batch` for batchCells. */
export function flagOfArgument(argument: string): string {
  return flagOf(OPTION_OF[argument] ?? argument);
}

/**
 * An error with the API's names for arguments, in its message and its place, replaced by the options of the command
 * that stand for them. Only what is an argument by its look is replaced: `batchTokens`, and the plain `seed` where
 * the error is about it; a word in quotes or within a path never is.
 *
 * @param options names of the options that the command takes
 */
export function inOptionNames(error: DdscError, options: readonly string[]): DdscError {
  const flags = new Map(options.map((name) => [name, flagOf(name)]));
  for (const [argument, option] of Object.entries(OPTION_OF)) {
    if (options.includes(option)) flags.set(argument, flagOf(option));
  }
  const { argument } = error.place;
  let message = error.text;
  for (const [name, flag] of flags) {
    if (/[A-Z.]/.test(name)) message = message.replace(wholeWord(name), flag);
    else if (name === argument)
      message = message.replace(`for ${name} but received`, `for ${flag} but received`);
  }
  const flag = argument === undefined ? undefined : flags.get(argument);
  if (flag === undefined && message === error.text) return error;
  const renamed = new DdscError(
    error.code,
    message,
    { ...error.place, ...(flag === undefined ? {} : { argument: flag }) },
    { cause: error },
  );
  // --debug shows where the error came from, not where it was put in other words.
  if (error.stack !== undefined) renamed.stack = error.stack.replace(error.message, () => renamed.message);
  return renamed;
}

function wholeWord(name: string): RegExp {
  return new RegExp(`(?<![\\w"'/.\\\\-])${name.replaceAll(".", "\\.")}(?![\\w"'/.\\\\-])`, "g");
}
