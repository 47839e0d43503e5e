import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, ddsc, writeStudy } from "../cli/program.js";
import { type Ended, ended, LAUNCHERS, mpirun, titleOf } from "./mpirun.js";

let folder: string;
let run: string;
let ofRanks: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cluster-evaluate-"));
  run = join(folder, "run");
  const data = join(folder, "cells.h5ad");
  await writeStudy(data, { cells: 120 });
  const words = ["--data", data, "--steps", "3", "--batch", "16", "--validation", "0.3"];
  const { code, stderr } = await ddsc("train", ...words, "--condition", "cell_type", "--out", run);
  if (code !== 0) throw new Error(stderr);
  ofRanks = join(folder, "ranks");
  const ranks = await ddsc("train", "--values", "ranks", ...words, "--out", ofRanks);
  if (ranks.code !== 0) throw new Error(ranks.stderr);
});
afterAll(() => rm(folder, { recursive: true }));

/** What one process prints; it needs no launcher, and is the same beside each of them. */
const alone = new Map<string, ReturnType<typeof ddsc>>();
function evaluateAlone(words: readonly string[]): ReturnType<typeof ddsc> {
  const key = words.join(" ");
  const known = alone.get(key) ?? ddsc(...words);
  alone.set(key, known);
  return known;
}

const lastLine = ({ stdout }: Pick<Ended, "stdout">) => stdout.trimEnd().split("\n").at(-1);

describe.each(LAUNCHERS.map((launcher) => ({ launcher, title: titleOf(launcher) })))(
  "$title",
  ({ launcher }) => {
    const available = it.skipIf(launcher.program === undefined);

    available(
      "ddsc evaluate on two processes prints the JSON of one, to the bit, once",
      async () => {
        const words = ["evaluate", "--model", run, "--by", "cell_type", "--open-problems", "--json"];
        const one = await evaluateAlone(words);
        const two = await ended(mpirun(launcher, 2, command(words)));
        expect(two.code, two.stderr).toBe(0);
        expect(two.stdout).toMatch(/^cluster {2}rank 0 of 2 /);
        expect(lastLine(two)).toBe(lastLine(one));
        expect(two.stdout.match(/^nats a hidden gene/gm)).toHaveLength(1);
      },
      60_000,
    );

    available(
      "so it does with a model of ranks",
      async () => {
        const words = ["evaluate", "--model", ofRanks, "--by", "cell_type", "--json"];
        const one = await evaluateAlone(words);
        const two = await ended(mpirun(launcher, 2, command(words)));
        expect(two.code, two.stderr).toBe(0);
        expect(one.code, one.stderr).toBe(0);
        expect(lastLine(two)).toBe(lastLine(one));
      },
      60_000,
    );

    available(
      "ranks that were given other options are refused, and none waits",
      async () => {
        const words = ["evaluate", "--model", run, "--json", "--seed"];
        const two = await ended(
          mpirun(launcher, 1, [
            ...command([...words, "1"]),
            ":",
            "-n",
            "1",
            process.execPath,
            ...command([...words, "2"]),
          ]),
        );
        expect(two.code).not.toBe(0);
        expect(two.stderr).toMatch(/ddsc: CLUSTER_MISMATCH: rank 1 was given other options than rank 0/);
      },
      60_000,
    );
  },
);
