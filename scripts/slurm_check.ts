/**
 * npx tsx scripts/slurm_check.ts
 *
 * Starts a Slurm of its own on this machine, as root, and tests that training on two processes, array jobs and jobs that are
 * requeued work as docs/cluster.md and docs/array_jobs.md say, with the scripts that stand there. Prints a line a check; exits
 * with 1 where one failed. Needs two processors and, of Debian 12:
 *
 *   apt-get install --no-install-recommends slurm-wlm munge libpmix-dev openmpi-bin mpich
 *
 * (libpmix-dev has the link by which Slurm finds PMIx.) Build first: npm run build:all.
 */
import { readFileSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Checks, inFolder, require, Skipped } from "./cluster/checks.js";
import { arrayScript, trainingScript } from "./cluster/job_scripts.js";
import { AS_ROOT, DDSC, endOf, run, start, until } from "./cluster/programs.js";
import { Slurm } from "./cluster/slurm.js";
import { lossesOf, requireClose, simulateData, stepsDone, trainWords } from "./cluster/small_runs.js";

const STEPS = 20;
/** Of the run that is interrupted, and the steps after which it is. */
const LONG = 60;
const INTERRUPTED = [8, 24] as const;
/** Steps of a run that no job has the time for. */
const ENDLESS = 100_000;
const SHARES = 4;

/** Kinds of `srun --mpi`, and the library that goes with each. */
const STARTERS = [
  { mpi: "pmix", library: "libmpi.so.40" },
  { mpi: "pmi2", library: "libmpich.so.12" },
] as const;
const MPIRUNS = [["mpirun.openmpi", "--bind-to", "none"], ["mpirun.mpich"]] as const;

const checks = new Checks("slurm_check");
await inFolder(async (folder, undoLater) => {
  const data = await simulateData(join(folder, "cells.h5ad"));
  const alone = join(folder, "alone");
  await run([...DDSC, ...trainWords(data, alone, STEPS)]);
  const expected = lossesOf(alone, STEPS);
  const slurm = await Slurm.start(join(folder, "slurm"), undoLater);

  for (const { mpi, library } of STARTERS) {
    await checks.check(`srun -n 2 --mpi=${mpi} trains as one process does`, async () => {
      const lack = await slurm.lacks(mpi);
      if (lack !== undefined) throw new Skipped(lack);
      const out = join(folder, mpi);
      const { stdout } = await run(
        ["srun", "-n", "2", `--mpi=${mpi}`, ...DDSC, ...trainWords(data, out, STEPS)],
        slurm.env,
      );
      return sameLosses(lossesOf(out, STEPS), expected, stdout, library);
    });
  }

  for (const [program, ...words] of MPIRUNS) {
    await checks.check(`${program} -n 2 in a job (salloc) trains as one process does`, async () => {
      if ((await endOf(start(["which", program]), 10)).code !== 0) throw new Skipped("it is not installed");
      const out = join(folder, program);
      const { stdout } = await run(
        ["salloc", "-n", "2", program, ...words, "-n", "2", ...DDSC, ...trainWords(data, out, STEPS)],
        { ...slurm.env, ...AS_ROOT },
      );
      return sameLosses(lossesOf(out, STEPS), expected, stdout, "libmpi");
    });
  }

  await checks.check("srun -n 2 without --mpi says what is missing", async () => {
    const words = [...DDSC, ...trainWords(data, join(folder, "none"), STEPS)];
    const { code, stderr } = await endOf(start(["srun", "-n", "2", ...words], slurm.env), 60);
    const [said = ""] = /^ddsc: \w+/m.exec(stderr) ?? [];
    require(code === 1 && said === "ddsc: CLUSTER_LAUNCHER", `exit code ${code}, ${JSON.stringify(stderr)}`);
    return said;
  });

  await checks.check(`an array of ${SHARES} and merge write what one process writes`, async () => {
    const whole = join(folder, "whole.h5ad");
    const model = ["impute", "--model", alone, "--data", data];
    await run([...DDSC, ...model, "--out", whole, "--quiet"]);
    const out = join(folder, "denoised.h5ad");
    const script = arrayScript({ shares: SHARES, ddsc: DDSC.join(" "), model: alone, data, out });
    const array = await slurm.submit(script);
    const merge = await slurm.submit(`#!/bin/bash\n${DDSC.join(" ")} merge --out ${out}\n`, [
      `--dependency=afterok:${array}`,
    ]);
    await slurm.completed(array, 300);
    await slurm.completed(merge, 180);
    const [joined, expectedBytes] = [readFileSync(out), readFileSync(whole)];
    require(joined.equals(expectedBytes), "the joined file has other bytes");
    return `${joined.length} bytes are the same`;
  });

  await checks.check(
    "a job that is warned, then requeued in mid-training, ends with the same weights",
    async () => {
      const lack = await slurm.lacks("pmix");
      if (lack !== undefined) throw new Skipped(lack);
      const [whole, out] = [join(folder, "uninterrupted"), join(folder, "requeued")];
      await run(["srun", "-n", "2", "--mpi=pmix", ...DDSC, ...trainWords(data, whole, LONG)], slurm.env);
      const begin = trainWords(data, out, LONG).slice(1, -2).join(" ");
      const script = trainingScript({ ranks: 2, ddsc: DDSC.join(" "), begin, out });
      const job = await slurm.submit(script);
      const stoppedAt: number[] = [];
      for (const [time, step] of INTERRUPTED.entries()) {
        await until(`step ${step}`, 180, () => stepsDone(out) >= step);
        // The first as Slurm's warning before the time is up, to the processes of the job; the second from outside.
        await run(time === 0 ? ["scancel", "--signal=USR1", job] : ["scontrol", "requeue", job], slurm.env);
        await slurm.requeued(job, time + 1, 60);
        stoppedAt.push(stepsDone(out));
        // Slurm would wait for two minutes; within the second in which it stopped the job it starts it for nothing ("credential revoked").
        await setTimeout(2000);
        await run(["scontrol", "update", `JobId=${job}`, "StartTime=now"], slurm.env);
      }
      require(stoppedAt.every((step) => step < LONG), `it was interrupted after the last step: ${stoppedAt}`);
      await slurm.completed(job, 300);
      lossesOf(out, LONG);
      const weights = (run: string) => readFileSync(join(run, "last", "model.safetensors"));
      require(weights(out).equals(weights(whole)), "model.safetensors has other bytes");
      return `interrupted after steps ${stoppedAt.join(" and ")} of ${LONG}; model.safetensors has the same bytes`;
    },
  );

  await checks.check("a job whose time is nearly up saves and requeues itself", async () => {
    const lack = await slurm.lacks("pmix");
    if (lack !== undefined) throw new Skipped(lack);
    const out = join(folder, "warned");
    const begin = trainWords(data, out, ENDLESS).slice(1, -2).join(" ");
    const script = trainingScript({ ranks: 2, ddsc: DDSC.join(" "), begin, out });
    const job = await slurm.submit(script, ["--time=00:02:00", "--signal=USR1@60"]);
    // Slurm looks every half a minute.
    await slurm.requeued(job, 1, 150);
    await run(["scancel", job], slurm.env);
    const [done, saved] = [stepsDone(out), await readlink(join(out, "last"))];
    require(done > 0 &&
      done < ENDLESS &&
      saved === `step-${done}`, `${done} steps are done, ${saved} is saved`);
    return `warned and saved after step ${done}`;
  });
});
checks.conclude();

/** @param printed by rank 0, which says over which library it spoke to the other */
function sameLosses(
  losses: readonly number[],
  expected: readonly number[],
  printed: string,
  library: string,
): string {
  const described = /^cluster {2}rank 0 of 2 .*$/m.exec(printed)?.[0] ?? "";
  require(described.includes(library), `not of two processes over ${library}: ${JSON.stringify(described)}`);
  const apart = requireClose(losses, expected);
  return `losses of ${STEPS} steps differ by at most ${apart.toExponential(1)} of the loss`;
}
