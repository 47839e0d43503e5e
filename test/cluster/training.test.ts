import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { emulated } from "../cuda/emulated.js";
import { nodeProgram } from "../node_program.js";
import { type Ended, ended, LAUNCHERS, type Launcher, mpirun, titleOf } from "./mpirun.js";

const child = await nodeProgram(new URL("train_child.ts", import.meta.url));
/** How long survivors may take to end, milliseconds. */
const END = 30_000;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "ddsc-cluster-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

interface Line {
  readonly step: number;
  readonly loss: number;
  readonly nll?: number;
}

/** The steps that rank 0 told of. */
function stepsOf({ stdout }: Pick<Ended, "stdout">): Line[] {
  return [...stdout.matchAll(/^step (.+)$/gm)].map(([, json]) => JSON.parse(json!) as Line);
}

function train(
  launcher: Launcher,
  ranks: number,
  words: readonly string[],
  onLine?: (line: string) => void,
): Promise<Ended> {
  return ended(mpirun(launcher, ranks, [...child, ...words]), onLine);
}

/** What one process alone tells of these steps; it needs no launcher, and is the same beside each of them. */
const alone = new Map<string, Promise<{ readonly folder: string; readonly steps: readonly Line[] }>>();
function trainAlone(steps: number, ...how: [values: string, ...words: string[]]) {
  const name = [steps, ...how].join("-");
  const started = async () => {
    const folder = join(root, `alone-${name}`);
    const run = await train({ name: "TCP", program: process.execPath }, 1, [folder, String(steps), ...how]);
    expect(run.code, run.stderr).toBe(0);
    return { folder, steps: stepsOf(run) };
  };
  const known = alone.get(name) ?? started();
  alone.set(name, known);
  return known;
}

/** Why a rank failed. */
function failureOf(folder: string, rank: number): Promise<string> {
  return readFile(`${folder}.rank${rank}`, "utf8");
}

/** Relative differences of losses and validations, the largest. */
function largestDifference(a: readonly Line[], b: readonly Line[]): number {
  expect(a.map(({ step }) => step)).toEqual(b.map(({ step }) => step));
  let largest = 0;
  for (const [i, line] of a.entries()) {
    for (const name of ["loss", "nll"] as const) {
      const [x, y] = [line[name], b[i]![name]];
      expect(x === undefined).toBe(y === undefined);
      if (x !== undefined && y !== undefined) largest = Math.max(largest, Math.abs(x - y) / Math.abs(x));
    }
  }
  return largest;
}

describe.each(LAUNCHERS.map((launcher) => ({ launcher, title: titleOf(launcher) })))(
  "$title",
  ({ launcher }) => {
    const available = it.skipIf(launcher.program === undefined);

    available.each(["ranks", "counts"])(
      "1, 2 and 4 processes train the same run of %s: losses of 200 steps agree to 1e-4, and twice the same to the bit",
      async (values) => {
        const folder = (name: string) => join(root, `${launcher.name}-${values}-${name}`);
        const how = [values, "seldom"] as const;
        const one = await trainAlone(200, ...how);
        expect(one.steps).toHaveLength(200);
        const two = await train(launcher, 2, [folder("2"), "200", ...how]);
        expect(two.code, two.stderr).toBe(0);
        expect(largestDifference(one.steps, stepsOf(two))).toBeLessThan(1e-4);
        const four = await train(launcher, 4, [folder("4"), "200", ...how]);
        expect(four.code, four.stderr).toBe(0);
        expect(largestDifference(one.steps, stepsOf(four))).toBeLessThan(1e-4);
        // Once more, as far as it comes before it is stopped.
        let pid = 0;
        const again = await train(launcher, 4, [folder("again"), "200", ...how], (line) => {
          pid = Number(/^rank 0 pid (\d+)$/.exec(line)?.[1] ?? pid);
          if (line.startsWith('step {"step":20,')) process.kill(pid, "SIGUSR1");
        });
        expect(again.code, again.stderr).toBe(0);
        const steps = stepsOf(again);
        expect(steps.length).toBeGreaterThanOrEqual(20);
        expect(steps).toEqual(stepsOf(four).slice(0, steps.length));
        // One rank writes, in one folder.
        expect(await readdir(folder("4"))).toEqual(await readdir(one.folder));
      },
      240_000,
    );

    // What lanes a rank reads does not depend on the launcher.
    available.each(launcher.name === "TCP" ? ["windows", "lanes"] : ["windows"])(
      "data of several windows, of which each rank reads its own cells, give the losses of one process, resumed with other ranks, too (%s)",
      async (values) => {
        const folder = (name: string) => join(root, `${launcher.name}-${values}-${name}`);
        const one = await trainAlone(16, values);
        let pid = 0;
        const begun = await train(launcher, 3, [folder("3"), "16", values], (line) => {
          pid = Number(/^rank 2 pid (\d+)$/.exec(line)?.[1] ?? pid);
          // In the middle of the first of two windows of an epoch of 7 steps.
          if (line.startsWith('step {"step":3,')) process.kill(pid, "SIGUSR1");
        });
        expect(begun.code, begun.stderr).toBe(0);
        expect(stepsOf(begun).length).toBeLessThan(16);
        const resumed = await train(launcher, 2, [folder("3"), "16", values]);
        expect(resumed.code, resumed.stderr).toBe(0);
        const steps = [...stepsOf(begun), ...stepsOf(resumed)];
        expect(largestDifference(one.steps, steps)).toBeLessThan(1e-4);
      },
      120_000,
    );

    available(
      "shares of the optimizer give the bits of whole ones, in checkpoints, too, also where other ranks go on",
      async () => {
        const folder = (name: string) => join(root, `${launcher.name}-optimizer-${name}`);
        const files = ["model.safetensors", "ema.safetensors", "optimizer.safetensors"];
        const bytesOf = (name: string) =>
          Promise.all(files.map((file) => readFile(join(folder(name), "last", file))));
        const runs: Line[][] = [];
        for (const kind of ["counts", "shares"]) {
          const begun = await train(launcher, 3, [folder(kind), "3", kind]);
          expect(begun.code, begun.stderr).toBe(0);
          const gone = await train(launcher, 2, [folder(kind), "6", kind]);
          expect(gone.code, gone.stderr).toBe(0);
          runs.push([...stepsOf(begun), ...stepsOf(gone)]);
        }
        expect(runs[0]).toHaveLength(6);
        expect(runs[1]).toEqual(runs[0]);
        expect(await bytesOf("shares")).toEqual(await bytesOf("counts"));
      },
      120_000,
    );

    available(
      "a rank that is killed at any step ends the others within 30 s with a named error; the run goes on with another number of ranks",
      async () => {
        const random = new RandomStream(20_26, Purpose.shuffle, launcher.name.length);
        const killAt = 3 + Math.floor(random.uniform() * 30);
        const victim = Math.floor(random.uniform() * 4);
        const pids = new Map<number, number>();
        let killedAt = 0;
        const folder = join(root, `${launcher.name}-killed`);
        const killed = await train(launcher, 4, [folder, "2000"], (line) => {
          const [, rank, pid] = /^rank (\d+) pid (\d+)$/.exec(line) ?? [];
          if (rank !== undefined) pids.set(Number(rank), Number(pid));
          if (killedAt > 0 || !line.startsWith(`step {"step":${killAt},`)) return;
          killedAt = performance.now();
          process.kill(pids.get(victim)!, "SIGKILL");
        });
        expect(performance.now() - killedAt).toBeLessThan(END);
        expect(killed.code).not.toBe(0);
        const survivors = [0, 1, 2, 3].filter((rank) => rank !== victim);
        for (const rank of survivors) {
          // MPICH's launcher kills the others as soon as it hears of one that was killed: some may have nothing to say.
          const why = await failureOf(folder, rank).catch(() => "");
          if (why === "" && launcher.name === "MPICH") continue;
          expect(why).toMatch(new RegExp(`^CLUSTER_PEER_LOST: rank ${victim} ended without a word`));
        }
        const resumed = await train(launcher, 2, [folder, "60"]);
        expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0);
        const steps = stepsOf(resumed);
        // A checkpoint every second step: no more than two are lost.
        expect(steps[0]!.step).toBeGreaterThan(killAt - 2);
        expect(steps.at(-1)!.step).toBe(60);
      },
      120_000,
    );

    available(
      "a rank that fails by itself tells the others why, and they end",
      async () => {
        const folder = join(root, `${launcher.name}-failed`);
        const failed = await train(launcher, 3, [folder, "2000", "ranks", "throw"]);
        expect(failed.code).not.toBe(0);
        expect(await failureOf(folder, 1)).toBe("a defect of this rank alone");
        for (const rank of [0, 2]) {
          expect(await failureOf(folder, rank)).toMatch(
            /^CLUSTER_PEER_LOST: rank 1 failed: a defect of this rank alone; this rank/,
          );
        }
      },
      60_000,
    );

    available(
      "ranks whose weights differ are found out",
      async () => {
        const folder = join(root, `${launcher.name}-spoilt`);
        const spoilt = await train(launcher, 2, [folder, "150", "ranks", "weights"]);
        expect(spoilt.code).not.toBe(0);
        // One may hear of the other's failure before it has found out by itself.
        for (const rank of [0, 1])
          expect(await failureOf(folder, rank)).toMatch(
            /^(CLUSTER_PEER_LOST: rank \d failed: )?CLUSTER_DIVERGED: after step 100 rank 1 does not/,
          );
      },
      60_000,
    );

    available(
      "on (emulated) GPUs gradients go through the host, and two processes train the same run as one",
      async () => {
        const runs: Line[][] = [];
        for (const ranks of [1, 2]) {
          const folder = join(root, `${launcher.name}-gpu-${ranks}`);
          const run = await ended(mpirun(launcher, ranks, [...child, folder, "4"], emulated()));
          expect(run.code, run.stderr).toBe(0);
          runs.push(stepsOf(run));
        }
        expect(runs[0]).toHaveLength(4);
        expect(largestDifference(runs[0]!, runs[1]!)).toBeLessThan(1e-5);
      },
      120_000,
    );

    available(
      "a signal to one rank stops all after the same step, saved",
      async () => {
        const folder = join(root, `${launcher.name}-signalled`);
        let pid = 0;
        const stopped = await train(launcher, 2, [folder, "2000"], (line) => {
          pid = Number(/^rank 1 pid (\d+)$/.exec(line)?.[1] ?? pid);
          if (line.startsWith('step {"step":5,')) process.kill(pid, "SIGUSR1");
        });
        expect(stopped.code, stopped.stderr).toBe(0);
        const ends = [...stopped.stdout.matchAll(/^rank \d (\w+) at (\d+)$/gm)].map(([, end, step]) => [
          end,
          step,
        ]);
        expect(ends).toHaveLength(2);
        expect(ends[0]).toEqual(ends[1]);
        expect(ends[0]![0]).toBe("aborted");
        const resumed = await train(launcher, 1, [folder, String(Number(ends[0]![1]) + 2)]);
        expect(stepsOf(resumed)[0]!.step).toBe(Number(ends[0]![1]) + 1);
      },
      60_000,
    );
  },
);
