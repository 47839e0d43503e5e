import { DdscError } from "../lib/base/errors.js";
import type { SamplerConfig } from "../lib/sampling/index.js";

/**
 * A sampler as a benchmark's command line names it: kind, colon, steps ("first-hitting:16"); first-hitting without
 * steps is exact. Throws `SAMPLER_UNKNOWN` and `ARGUMENT_RANGE`.
 */
export function samplerFrom(spec: string): SamplerConfig {
  const [kind = "", count] = spec.split(":");
  const steps = count === undefined ? undefined : Number(count);
  if (steps !== undefined && !(Number.isSafeInteger(steps) && steps > 0)) {
    throw new DdscError("ARGUMENT_RANGE", `expected a whole number of steps after the colon of ${spec}`);
  }
  switch (kind) {
    case "first-hitting":
      return steps === undefined ? { kind } : { kind, steps };
    case "ancestral":
    case "cached-ancestral":
    case "analytic":
    case "parallel":
      if (steps === undefined) break;
      return { kind, steps };
  }
  throw new DdscError(
    "SAMPLER_UNKNOWN",
    `${spec} is no sampler; write it like ancestral:128, first-hitting or parallel:16`,
  );
}
