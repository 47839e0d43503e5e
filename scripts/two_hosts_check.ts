/**
 * npx tsx scripts/two_hosts_check.ts
 *
 * Trains on two processes that a network joins: two network namespaces of this machine, over TCP, under Open MPI and MPICH. Tests
 * that losses are those of one process, that both processes end with an error soon after the network goes down, and that the run
 * goes on. Prints a line a check; exits with 1 where one failed. As root; needs, of Debian 12:
 *
 *   apt-get install --no-install-recommends iproute2 openmpi-bin mpich
 *
 * Build first: npm run build:all.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Checks, inFolder, require, Skipped } from "./cluster/checks.js";
import { DDSC, endOf, killGroup, lastLine, type Running, run, start, until } from "./cluster/programs.js";
import { lossesOf, requireClose, simulateData, stepsDone, trainWords } from "./cluster/small_runs.js";
import { TwoHosts } from "./cluster/two_hosts.js";

const STEPS = 20;
/** The network goes down after this step. */
const CUT = 5;
/** Seconds within which both processes end then, and those that the launcher gets after that: it may wait for TCP to give up. */
const END = 30;
const LAUNCHER_END = 5;
const RANKS = [0, 1] as const;

const checks = new Checks("two_hosts_check");
await inFolder(async (folder, undoLater) => {
  const data = await simulateData(join(folder, "cells.h5ad"));
  const alone = join(folder, "alone");
  await run([...DDSC, ...trainWords(data, alone, STEPS)]);
  const expected = lossesOf(alone, STEPS);
  const weights = statSync(join(alone, "last", "model.safetensors")).size;
  const hosts = await TwoHosts.make(folder, undoLater);
  const rank = await rankProgram(folder);

  for (const [launcher, program] of [
    ["Open MPI", "mpirun.openmpi"],
    ["MPICH", "mpirun.mpich"],
  ] as const) {
    const isThere = (await endOf(start(["which", program]), 10)).code === 0;
    const command = (words: readonly string[], isAlert = false) => {
      if (!isThere) throw new Skipped(`${program} is not installed`);
      return hosts.command(launcher, words, isAlert);
    };

    await checks.check(`${launcher} on two hosts trains as one process does`, async () => {
      const out = join(folder, `${launcher}-whole`);
      const before = await hosts.received();
      const { stdout } = await run(command([...DDSC, ...trainWords(data, out, STEPS)]), hosts.env);
      require(stdout.includes(" 2 machines"), `not on two machines: ${stdout.split("\n")[0]}`);
      const received = (await hosts.received()) - before;
      // Half of the gradients of a step come in, and half of the sums.
      const least = STEPS * weights;
      require(received >= least, `${received} bytes came over the network; ${least} are the gradients`);
      const apart = requireClose(lossesOf(out, STEPS), expected);
      return `losses of ${STEPS} steps differ by at most ${apart.toExponential(1)} of the loss; ${(received / 1e6).toFixed(0)} MB came in`;
    });

    const cut = join(folder, `${launcher}-cut`);
    /** Begins a training, plugs the cable out in the middle of it, and in again in the end. */
    const cutOff = async (
      isAlert: boolean,
      watch: (training: Running, seconds: () => string) => Promise<string>,
    ): Promise<string> => {
      await rm(cut, { recursive: true, force: true });
      const training = start(command([rank, ...trainWords(data, cut, STEPS)], isAlert), hosts.env);
      try {
        await until(`step ${CUT}`, 180, () => stepsDone(cut) >= CUT, 5);
        await hosts.connect(false);
        const begun = performance.now();
        const seen = await watch(training, () => `${((performance.now() - begun) / 1000).toFixed(0)} s`);
        return `cut after step ${stepsDone(cut)}; ${seen}`;
      } finally {
        killGroup(training.child);
        await hosts.clear();
        await hosts.connect(true);
        const files = RANKS.flatMap((each) => ["code", "err", "out"].map((kind) => left(folder, each, kind)));
        for (const file of files) await rm(file, { force: true });
      }
    };

    await checks.check(`${launcher}: both ranks end once the network is down`, () =>
      cutOff(false, async (training, seconds) => {
        const haveEnded = () => RANKS.every((each) => existsSync(left(folder, each, "code")));
        await until("the end of both ranks", END, haveEnded);
        const ended = seconds();
        const codes = RANKS.map((each) => {
          const [code, said] = ["code", "err"].map((kind) =>
            readFileSync(left(folder, each, kind), "utf8").trim(),
          );
          const [, name] = /^ddsc: (CLUSTER_\w+): /m.exec(said ?? "") ?? [];
          require(code === "1" &&
            name !== undefined, `rank ${each} ended with ${code}: ${said?.split("\n").at(-1)}`);
          return name;
        });
        const isOver = await endsWithin(training, LAUNCHER_END);
        return `${codes.join(" and ")} after ${ended}; ${program} ${isOver ? "ended, too" : `was still there ${LAUNCHER_END} s later`}`;
      }),
    );

    if (launcher === "Open MPI") {
      await checks.check(`${launcher}, told to look after its hosts: all ends, mpirun too`, () =>
        cutOff(true, async (training, seconds) => {
          const { code } = await endOf(training, END);
          await until(
            "the end of all processes",
            END,
            async () => (await hosts.processes()).length === 0,
            200,
          );
          require(code !== 0, `${program} ended with 0`);
          return `${program} ended with ${code} and nothing ran on after ${seconds()}`;
        }),
      );
    }

    await checks.check(`${launcher}: the run goes on once the network is up`, async () => {
      const at = stepsDone(cut);
      const ended = await endOf(start(command([...DDSC, "train", "--resume", "--out", cut]), hosts.env), 300);
      require(ended.code === 0, `it ended with ${ended.code}: ${lastLine(ended)}`);
      const apart = requireClose(lossesOf(cut, STEPS), expected);
      return `from step ${at} on; losses of all ${STEPS} steps differ by at most ${apart.toExponential(1)} of the loss`;
    });
  }
});
checks.conclude();

/** Whether a program ends by itself in this time; one that does not runs on. */
async function endsWithin({ ended }: Running, seconds: number): Promise<boolean> {
  return Promise.race([ended.then(() => true), delay(seconds * 1000, false, { ref: false })]);
}

/** What a rank leaves behind: launchers cannot pass on what is said on a host that is cut off. */
function left(folder: string, rank: number, kind: string): string {
  return join(folder, `rank-${rank}.${kind}`);
}

/** A program that runs `ddsc` and leaves behind what it prints and, then, its exit code. */
async function rankProgram(folder: string): Promise<string> {
  const file = join(folder, "rank");
  await writeFile(
    file,
    `#!/bin/sh\nown=${folder}/rank-\${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\n` +
      `${DDSC.map((word) => `'${word}'`).join(" ")} "$@" > "$own.out" 2> "$own.err"\ncode=$?\n` +
      `echo $code > "$own.new"\nmv "$own.new" "$own.code"\nexit $code\n`,
  );
  await chmod(file, 0o755);
  return file;
}
