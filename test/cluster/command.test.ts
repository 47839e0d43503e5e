import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, ddsc, writeStudy } from "../cli/program.js";
import { type Ended, ended, LAUNCHERS, type Launcher, mpirun, titleOf } from "./mpirun.js";

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cluster-cli-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** `ddsc train` with the study, on so many processes. */
function train(launcher: Launcher, ranks: number, words: readonly string[]): Promise<Ended> {
  return ended(mpirun(launcher, ranks, command(["train", "--batch", "8", ...words])));
}

async function stepsOf(run: string): Promise<{ step: number; loss: number }[]> {
  const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

describe.each(LAUNCHERS.map((launcher) => ({ launcher, title: titleOf(launcher) })))(
  "$title",
  ({ launcher }) => {
    const available = it.skipIf(launcher.program === undefined);

    available(
      "ddsc train on two processes is one run, of which rank 0 tells, and goes on alone",
      async () => {
        const run = join(folder, `${launcher.name}-run`);
        const shared = launcher.name === "TCP" ? ["--shard-optimizer"] : [];
        const two = await train(launcher, 2, ["--data", data, "--steps", "4", "--out", run, ...shared]);
        expect(two.code, two.stderr).toBe(0);
        expect(two.stdout.match(/^cluster {2}rank 0 of 2 \(.+(MPI|TCP).*/gm)).toHaveLength(1);
        expect(two.stdout.match(/^model {7}/gm)).toHaveLength(1);
        expect((await stepsOf(run)).map(({ step }) => step)).toEqual([1, 2, 3, 4]);
        const one = await ddsc("train", "--resume", "--steps", "6", "--out", run, ...shared);
        expect(one.code, one.stderr).toBe(0);
        expect(/there is one process: it keeps all/.test(one.stderr)).toBe(shared.length > 0);
        expect((await stepsOf(run)).map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
      },
      60_000,
    );

    available(
      "ddsc train on three processes reads many files as one process does, and all name the one that is broken",
      async () => {
        const shards = join(folder, `${launcher.name}-shards`);
        const made = await ddsc(
          ...[
            "convert",
            "--simulate",
            "120",
            "--simulated-genes",
            "20",
            "--cells-per-file",
            "8",
            "--out",
            shards,
          ],
        );
        expect(made.code, made.stderr).toBe(0);
        const words = ["--data", shards, "--steps", "4", "--lanes", "3", "--condition", "cell_type", "--out"];
        const runs = await Promise.all(
          [1, 3].map(async (ranks) => {
            const run = join(folder, `${launcher.name}-many-${ranks}`);
            const { code, stderr } = await train(launcher, ranks, [...words, run]);
            expect(code, stderr).toBe(0);
            return stepsOf(run);
          }),
        );
        const [one = [], three = []] = runs;
        expect(one).toHaveLength(4);
        for (const [i, { loss }] of three.entries()) expect(loss).toBeCloseTo(one[i]?.loss ?? 0, 5);
        await writeFile(join(shards, "train-00012-of-00015.parquet"), "PAR1");
        const broken = await train(launcher, 3, [...words, join(folder, `${launcher.name}-broken`)]);
        expect(broken.code).not.toBe(0);
        expect(broken.stderr).toMatch(/^ddsc: DATA_TRUNCATED: .*train-00012-of-00015\.parquet: /m);
      },
      120_000,
    );

    available(
      "a program between the launcher and ddsc, as npx is, either does no harm or is named",
      async () => {
        const between =
          'const { status } = require("node:child_process").spawnSync(process.execPath, process.argv.slice(1), { stdio: "inherit" }); process.exitCode = status;';
        const words = ["--data", data, "--steps", "1", "--out", join(folder, `${launcher.name}-between`)];
        const asked = await ended(mpirun(launcher, 2, ["-e", between, ...command(["train", ...words])]));
        const said = asked.stdout + asked.stderr;
        if (launcher.name === "MPICH") {
          expect(asked.code).not.toBe(0);
          expect(said).toMatch(
            /CLUSTER_LAUNCHER: the launcher's connection \(PMI_FD\) did not reach this process: npx/,
          );
          expect(said).not.toMatch(/Segmentation fault/);
        } else {
          expect(asked.code, said).toBe(0);
          expect(said).toMatch(/^cluster {2}rank 0 of 2 /m);
        }
      },
      60_000,
    );

    available(
      "what rank 0 refuses ends all, each with one line",
      async () => {
        const run = join(folder, `${launcher.name}-taken`);
        const words = ["--data", data, "--steps", "1", "--out", run];
        expect((await train(launcher, 2, words)).code).toBe(0);
        const again = await train(launcher, 2, words);
        expect(again.code).not.toBe(0);
        expect(again.stderr).toMatch(/^ddsc: RUN_EXISTS: /m);
        expect(again.stderr).toMatch(/^ddsc: CLUSTER_PEER_LOST: rank 0 failed: RUN_EXISTS: /m);
      },
      60_000,
    );
  },
);

describe("ddsc train", () => {
  it("started by torchrun on several processes without MASTER_ADDR says what is missing", async () => {
    const [rank, world] = [process.env.RANK, process.env.WORLD_SIZE];
    try {
      Object.assign(process.env, { RANK: "0", WORLD_SIZE: "2" });
      const refused = await ddsc("train", "--data", data, "--steps", "1", "--out", join(folder, "torchrun"));
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/^ddsc: CLUSTER_LAUNCHER: torchrun started 2 processes.*MASTER_ADDR/);
    } finally {
      restore("RANK", rank);
      restore("WORLD_SIZE", world);
    }
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
