import { DdscError } from "../base/errors.js";
import { CountTokens } from "./count_tokens.js";
import { QuantileRanks } from "./quantile_ranks.js";
import type { TokenStrategy } from "./strategy.js";

type Maker = (json: Readonly<Record<string, unknown>>) => TokenStrategy;
/** How each kind of strategy is made from its own JSON. A new strategy is one file and one line here. */
const makers: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ["quantile-ranks", ({ bins }) => new QuantileRanks(bins === undefined ? {} : { bins: bins as number })],
  [
    "counts",
    ({ allowFractional }) =>
      new CountTokens(allowFractional === undefined ? {} : { allowFractional: allowFractional as boolean }),
  ],
]);

/**
 * The strategy that `toJSON` described. Throws `STRATEGY_UNKNOWN` for a kind this version does not know or JSON that
 * describes no strategy, `ARGUMENT_RANGE` or `ARGUMENT_TYPE` for its
 * options.
 */
export function strategyFrom(json: unknown): TokenStrategy {
  const kind = typeof json === "object" && json !== null && "kind" in json ? json.kind : undefined;
  const make = typeof kind === "string" ? makers.get(kind) : undefined;
  if (make !== undefined) return make(json as Readonly<Record<string, unknown>>);
  throw new DdscError(
    "STRATEGY_UNKNOWN",
    `${kind === undefined ? "the token strategy has no kind" : `no token strategy is called ${JSON.stringify(kind)}`}; ` +
      `this version knows ${[...makers.keys()].join(", ")}; was the model saved by a newer version?`,
    { argument: "strategy" },
  );
}
