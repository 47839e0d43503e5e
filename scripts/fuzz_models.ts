/**
 * Feeds damaged runs and models (several of their files damaged together) to what loads and uses them:
 * npx tsx scripts/fuzz_models.ts [--inputs 10000] [--first 0] [--kind counts|ranks]
 *
 * Each must end in a DdscError or in a model whose outputs are finite, in 5 s and 1 GiB. Every kind of model runs in a process of
 * its own, which is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { damagedRun, MODEL_KINDS, originalRun, useRun } from "./damaged_models.js";
import { fuzz } from "./fuzz_run.js";

await fuzz({
  url: import.meta.url,
  option: "kind",
  kinds: MODEL_KINDS,
  every: 50,
  begin: async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), "ddsc-fuzz-"));
    process.once("exit", () => void rm(folder, { recursive: true, force: true }));
    const original = await originalRun(kind, join(folder, "original"));
    const run = join(folder, "damaged");
    return {
      input: async (number) => ({
        changes: await damagedRun(original, run, number),
        use: () => useRun(run),
        remove: () => rm(run, { recursive: true }),
      }),
      end: () => rm(folder, { recursive: true, force: true }),
    };
  },
});
