import { findModel, readDescription } from "../../model/model_files.js";
import type { CommandContext } from "./command.js";
import { flagOf } from "./option_kinds.js";
import type { OptionName } from "./options.js";
import { UsageError } from "./usage_error.js";

/** Whether a saved model is of counts. Throws `CHECKPOINT_*`. */
export async function isOfCounts(model: string): Promise<boolean> {
  return (await readDescription(await findModel(model))).config.counts !== undefined;
}

/** Options of a command that are for one kind of model alone. */
export interface KindOptions {
  readonly ranks: readonly OptionName[];
  readonly counts: readonly OptionName[];
}

/** Throws a UsageError where an option was given that is for the other kind of model. */
export function refuseOthers(
  model: string,
  ofCounts: boolean,
  only: KindOptions,
  { given }: Pick<CommandContext, "given">,
  remedies: { readonly [name in OptionName]?: string } = {},
): void {
  const [wanted, own] = ofCounts ? (["ranks", "counts"] as const) : (["counts", "ranks"] as const);
  const other = only[wanted].find(given);
  if (other === undefined) return;
  throw new UsageError(
    `${flagOf(other)} is for models of ${wanted}, and ${model} is of ${own}; ${remedies[other] ?? "leave it out"}`,
  );
}
