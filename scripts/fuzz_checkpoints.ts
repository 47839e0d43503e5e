/**
 * Feeds damaged and hostile checkpoints of PyTorch to the import:
 * npx tsx scripts/fuzz_checkpoints.ts [--inputs 10000] [--first 0] [--kind archive|pickle|opcodes]
 *
 * Each must end in a DdscError or in a model that loads, in 5 s and 1 GiB. Every kind of damage runs in a process of its own, which
 * is ended when it is silent for too long; a failure names the input, which --first N --inputs 1 repeats.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CHECKPOINT_KINDS,
  damagedCheckpoint,
  originalCheckpoints,
  useCheckpoint,
} from "./damaged_checkpoints.js";
import { fuzz } from "./fuzz_run.js";

await fuzz({
  url: import.meta.url,
  option: "kind",
  kinds: CHECKPOINT_KINDS,
  every: 100,
  begin: async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), "ddsc-fuzz-"));
    const originals = await originalCheckpoints();
    return {
      input: async (number) => {
        const { bytes, change } = damagedCheckpoint(originals, kind, number);
        return { changes: [change], use: () => useCheckpoint(bytes, folder) };
      },
      end: () => rm(folder, { recursive: true, force: true }),
    };
  },
});
