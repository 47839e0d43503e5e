/**
 * npx tsx scripts/lost_ranks_check.ts [--times 20] [--first 0] [--launcher openmpi|mpich|tcp]
 *
 * Kills (SIGKILL) a random process of a training at a random moment, so many times under each launcher. Each time the others must
 * end within 30 s, with an error, and the run must go on with another number of processes to the losses of one that was never
 * interrupted. Prints a table in Markdown, a row a time; exits with 1 where one failed. The number of a row gives its chances, so
 * `--first N --times 1` repeats it. Needs Open MPI and MPICH (mpirun.openmpi, mpirun.mpich) but for --launcher tcp, whose processes meet without MPI. Build
 * first: npm run build:all.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Purpose, RandomStream } from "../lib/base/random.js";
import { inFolder, require } from "./cluster/checks.js";
import {
  AS_ROOT,
  DDSC,
  type Ended,
  endOf,
  killGroup,
  lastLine,
  processesWith,
  ROOT,
  run,
  start,
  until,
} from "./cluster/programs.js";
import { lossesOf, requireClose, simulateData, stepsDone, trainWords } from "./cluster/small_runs.js";

const STEPS = 12;
/** No process is killed after this step, so that none ends before. */
const LAST_STEP = STEPS - 3;
/** Milliseconds after a step until the kill, at most: about as long as a step takes. */
const LATER = 120;
/** Seconds within which all others end. */
const END = 30;
const RANKS = [2, 3] as const;
const RESUMED = [1, 2, 3] as const;
/** The variable by which the processes of a training are found. */
const MARK = "DDSC_LOST_RANKS_CHECK";

interface Launcher {
  readonly name: string;
  readonly command: readonly string[];
  readonly rank: string;
}

const LAUNCHERS: Readonly<Record<"openmpi" | "mpich" | "tcp", Launcher>> = {
  openmpi: {
    name: "Open MPI",
    command: ["mpirun.openmpi", "--oversubscribe", "--bind-to", "none"],
    rank: "OMPI_COMM_WORLD_RANK",
  },
  mpich: { name: "MPICH", command: ["mpirun.mpich"], rank: "PMI_RANK" },
  tcp: {
    name: "TCP",
    command: [process.execPath, join(ROOT, "scripts/cluster/start_ranks.mjs")],
    rank: "RANK",
  },
};

const { values } = parseArgs({
  options: {
    times: { type: "string", default: "20" },
    first: { type: "string", default: "0" },
    launcher: { type: "string" },
  },
});
const chosen = Object.entries(LAUNCHERS).filter(([name]) => (values.launcher ?? name) === name);
require(chosen.length > 0, `--launcher is one of ${Object.keys(LAUNCHERS).join(", ")}`);

await inFolder(async (folder, undoLater) => {
  const data = await simulateData(join(folder, "cells.h5ad"));
  const alone = join(folder, "alone");
  await run([...DDSC, ...trainWords(data, alone, STEPS)]);
  const expected = lossesOf(alone, STEPS);
  let failed = 0;
  console.log(
    "| | launcher | ranks | killed | after step | others ended after | with | goes on with | losses differ by |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const [, launcher] of chosen) {
    let [rows, slowest] = [0, 0];
    for (let number = Number(values.first); number < Number(values.first) + Number(values.times); number++) {
      try {
        const row = await loseRank(launcher, number);
        slowest = Math.max(slowest, row.seconds);
        rows += 1;
        console.log(`| ${number} | ${launcher.name} | ${row.cells.join(" | ")} |`);
      } catch (error) {
        failed += 1;
        console.log(
          `| ${number} | ${launcher.name} | FAILED: ${error instanceof Error ? error.message : error} |`,
        );
      }
    }
    console.log(
      `${launcher.name}: ${rows} of ${values.times} passed; the others ended within ${slowest.toFixed(1)} s`,
    );
  }
  if (failed > 0) process.exitCode = 1;

  async function loseRank(launcher: Launcher, number: number): Promise<{ cells: string[]; seconds: number }> {
    const random = new RandomStream(number, Purpose.draw);
    const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
    const ranks = pick(RANKS);
    const [victim, step, later] = [random.below(ranks), 1 + random.below(LAST_STEP), random.below(LATER)];
    const others = pick(RESUMED.filter((count) => count !== ranks));
    const out = join(folder, `run-${launcher.rank}-${number}`);
    const mark = `${process.pid}-${launcher.rank}-${number}`;
    const env = { ...AS_ROOT, [MARK]: mark };
    const mpirun = (count: number) => (count === 1 ? [] : [...launcher.command, "-n", String(count)]);

    const training = start([...mpirun(ranks), ...DDSC, ...trainWords(data, out, STEPS)], env);
    const clear = async () => {
      killGroup(training.child);
      for (const { pid } of processesWith(MARK, mark)) process.kill(pid, "SIGKILL");
    };
    undoLater(clear);
    try {
      await until(`step ${step}`, 180, () => stepsDone(out) >= step, 5);
      await delay(later);
      const found = processesWith(MARK, mark).find(({ env }) => env.get(launcher.rank) === String(victim));
      require(found !== undefined, `rank ${victim} is not there`);
      process.kill(found.pid, "SIGKILL");
      const begun = performance.now();
      const ended = await endOf(training, END);
      await until("the end of all processes", END, () => processesWith(MARK, mark).length === 0);
      const seconds = (performance.now() - begun) / 1000;
      require(seconds <= END, `the others ended after ${seconds.toFixed(0)} s`);
      const done = stepsDone(out);
      const said = errorOf(ended);
      require(existsSync(join(out, "last")), "it left no checkpoint");
      const resumed = await endOf(
        start([...mpirun(others), ...DDSC, "train", "--resume", "--out", out], env),
        120,
      );
      require(resumed.code === 0, `--resume with ${others} ended with ${resumed.code}: ${lastLine(resumed)}`);
      const apart = requireClose(lossesOf(out, STEPS), expected);
      const times = [`${seconds.toFixed(1)} s`, said, String(others), apart.toExponential(1)];
      return { cells: [String(ranks), `rank ${victim}`, String(done), ...times], seconds };
    } finally {
      await clear();
      await rm(out, { recursive: true, force: true });
    }
  }
});

/** What was said of the loss: by the other ranks, else by the launcher, which may end them first. */
function errorOf({ code, stdout, stderr }: Ended): string {
  require(code !== 0, "the launcher ended with 0");
  const own = [...stderr.matchAll(/^ddsc: (CLUSTER_\w+): /gm)].map(([, name]) => name);
  if (own.length > 0) return `${own[0]} x ${own.length}, exit code ${code}`;
  const isTold = /KILLED BY SIGNAL: 9|exited on signal 9|BAD TERMINATION/i.test(stdout + stderr);
  require(isTold, `nobody said why: ${JSON.stringify(stderr.slice(-400))}`);
  return `the launcher's message, exit code ${code}`;
}
