import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { damagedRun, MODEL_KINDS, originalRun, useRun } from "../../scripts/damaged_models.js";

/** Of the inputs of `scripts/fuzz_models.ts`, the first, and those that something was found by. */
const INPUTS = [...Array.from({ length: 40 }, (_, number) => number), 84, 121, 152, 232];

it.each(MODEL_KINDS)(
  "a damaged run of a model of %s ends in an error of the package or in outputs that are finite",
  async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), "ddsc-fuzz-"));
    try {
      const original = await originalRun(kind, join(folder, "original"));
      const outcomes = new Set<string>();
      for (const number of INPUTS) {
        const run = join(folder, String(number));
        const changes = await damagedRun(original, run, number);
        outcomes.add(
          await useRun(run).catch((error: unknown) =>
            Promise.reject(new Error(changes.join("; "), { cause: error })),
          ),
        );
        await rm(run, { recursive: true });
      }
      // Damage is found, and some does no harm.
      expect(outcomes).toContain("used");
      expect(outcomes).toContain("CHECKPOINT_CONFIG");
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
