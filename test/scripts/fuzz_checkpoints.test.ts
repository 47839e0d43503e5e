import { readdir } from "node:fs/promises";
import { expect, it } from "vitest";
import {
  CHECKPOINT_KINDS,
  damagedCheckpoint,
  originalCheckpoints,
  useCheckpoint,
} from "../../scripts/damaged_checkpoints.js";
import { temporaryFolder } from "../data/support.js";

/** Of the inputs of `scripts/fuzz_checkpoints.ts`, the first. */
const INPUTS = 200;

it.each(CHECKPOINT_KINDS)(
  "a checkpoint with damage to its %s ends in an error of the package or in a model",
  async (kind) => {
    const folder = temporaryFolder();
    const originals = await originalCheckpoints();
    const outcomes = new Set<string>();
    for (let number = 0; number < INPUTS; number++) {
      const { bytes, change } = damagedCheckpoint(originals, kind, number);
      outcomes.add(
        await useCheckpoint(bytes, folder).catch((error: unknown) =>
          Promise.reject(new Error(`input ${number}, ${change}`, { cause: error })),
        ),
      );
    }
    expect(outcomes).toContain(kind === "archive" ? "CHECKPOINT_CORRUPT" : "CHECKPOINT_PICKLE");
    if (kind === "opcodes") expect(outcomes).toContain("CHECKPOINT_GLOBAL");
    // Nothing is left of what failed.
    expect(await readdir(folder)).toEqual(["damaged.ckpt"]);
  },
  120_000,
);
