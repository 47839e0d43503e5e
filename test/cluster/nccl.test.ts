import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NativeCommunicator } from "../../lib/native/communicator.js";
import { NativeDenoiser } from "../../lib/native/denoiser.js";
import { nativeDevices } from "../../lib/native/devices.js";
import { emulated, ROOT } from "../cuda/emulated.js";
import { nodeProgram } from "../node_program.js";
import { type Ended, ended, LAUNCHERS, mpirun } from "./mpirun.js";

const child = await nodeProgram(new URL("train_child.ts", import.meta.url));
const lone = await nodeProgram(new URL("nccl_child.ts", import.meta.url));
const source = fileURLToPath(new URL("nccl_stand_in.cpp", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "ddsc-nccl-"));
const library = join(root, "libnccl-stand-in.so");
afterAll(() => rmSync(root, { recursive: true }));

const NAMES = [process.env.DDSC_NCCL_LIBRARY ?? "libnccl.so.2"];
const hasCompiler = spawnSync("g++", ["--version"]).status === 0;
const title = hasCompiler ? "NCCL, by a stand-in" : "NCCL, by a stand-in (skipped: there is no g++)";
const launcher = LAUNCHERS.find(({ name }) => name === "TCP")!;

/** Trains on emulated GPUs, with this library (or none) that has this fault. */
function train(
  ranks: number,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onLine?: (line: string) => void,
): Promise<Ended> {
  const all = { ...emulated(), DDSC_NCCL_LIBRARY: library, ...env };
  return ended(mpirun(launcher, ranks, [...child, ...words], all), onLine);
}

interface Line {
  readonly step: number;
  readonly loss: number;
}

function stepsOf({ stdout }: Pick<Ended, "stdout">): Line[] {
  return [...stdout.matchAll(/^step (.+)$/gm)].map(([, json]) => JSON.parse(json!) as Line);
}

/** What carried the sums, and why. */
function carrierOf({ stdout }: Pick<Ended, "stdout">): string {
  return /^cluster (.+)$/m.exec(stdout)?.[1] ?? "";
}

function failureOf(folder: string, rank: number): string {
  return readFileSync(`${folder}.rank${rank}`, "utf8");
}

describe.skipIf(!hasCompiler)(title, () => {
  beforeAll(() => {
    const words = ["-std=c++20", "-shared", "-fPIC", "-O1", "-Wl,-Bsymbolic", `-I${ROOT}`, source, "-lrt"];
    const built = spawnSync("g++", [...words, "-o", library], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(built.stderr);
  }, 60_000);

  it("sums gradients where they are: two processes train the same run as one, twice the same to the bit", async () => {
    const runs: Line[][] = [];
    for (const [i, ranks] of [1, 2, 2].entries()) {
      const run = await train(ranks, [join(root, `run-${i}`), "4"]);
      expect(run.code, run.stderr).toBe(0);
      expect(carrierOf(run)).toMatch(
        ranks === 1 ? /^one process$/ : /; NCCL 2\.23\.4 \(.+stand-in\.so\) over TCP$/,
      );
      runs.push(stepsOf(run));
    }
    const [one, two, again] = runs;
    expect(one).toHaveLength(4);
    for (const [i, { step, loss }] of one!.entries()) {
      expect(two![i]!.step).toBe(step);
      expect(Math.abs(two![i]!.loss - loss) / loss).toBeLessThan(1e-4);
    }
    expect(again).toEqual(two);
    // Of two numbers the order does not matter: what goes through the host has the same bits.
    const host = await train(2, [join(root, "host"), "4"], { DDSC_NCCL_LIBRARY: "off" });
    expect(carrierOf(host)).toMatch(
      /; TCP; gradients go through the memory of the host, .*DDSC_NCCL_LIBRARY is off$/,
    );
    expect(stepsOf(host)).toEqual(two);
  }, 240_000);

  it("brings weights where they are: shares of the optimizer train the same run as whole ones", async () => {
    const runs: Line[][] = [];
    for (const kind of ["counts", "shares"]) {
      const run = await train(2, [join(root, kind), "4", kind]);
      expect(run.code, run.stderr).toBe(0);
      expect(carrierOf(run)).toMatch(/; NCCL 2\.23\.4 /);
      runs.push(stepsOf(run));
    }
    expect(runs[0]).toHaveLength(4);
    expect(runs[1]).toEqual(runs[0]);
  }, 240_000);

  it("ends in CLUSTER_PEER_LOST where a rank is killed while the others wait for it in a sum", async () => {
    const folder = join(root, "killed");
    const pids = new Map<string, number>();
    // The last of the third step.
    const stuck = { DDSC_STAND_IN_NCCL: "stuck@1", DDSC_STAND_IN_SUM: "9" };
    const killed = await train(2, [folder, "2000"], stuck, (line) => {
      const [, rank, pid] = /^rank (\d+) pid (\d+)$/.exec(line) ?? [];
      if (rank !== undefined) pids.set(rank, Number(pid));
      // It never ends: that long, and rank 0 waits in it.
      if (line.startsWith('step {"step":2,')) setTimeout(() => process.kill(pids.get("1")!, "SIGKILL"), 3000);
    });
    expect(killed.code).not.toBe(0);
    expect(stepsOf(killed)).toHaveLength(2);
    expect(failureOf(folder, 0)).toMatch(/^CLUSTER_PEER_LOST: rank 1 ended without a word/);
  }, 60_000);

  it("ends all where an error comes later", async () => {
    const folder = join(root, "failed");
    const fault = { DDSC_STAND_IN_NCCL: "fails@1", DDSC_STAND_IN_SUM: "8" };
    const failed = await train(2, [folder, "2000"], fault);
    expect(failed.code).not.toBe(0);
    expect(failureOf(folder, 1)).toMatch(/^CLUSTER_NCCL: ncclAllReduce failed: remote process exited/);
    expect(failureOf(folder, 0)).toMatch(
      /^CLUSTER_PEER_LOST: rank 1 failed: CLUSTER_NCCL: ncclAllReduce failed/,
    );
  }, 120_000);

  it("sums blocks while backward goes on, and goes no further where one fails or a peer is lost", () => {
    const calls = (env: NodeJS.ProcessEnv, ...words: string[]) => {
      const all = { ...process.env, ...emulated(), DDSC_NCCL_LIBRARY: library, ...env };
      const { stdout, stderr, status } = spawnSync(process.execPath, [...lone, ...words], {
        encoding: "utf8",
        env: all,
        timeout: 30_000,
      });
      expect(status, stderr).toBe(0);
      const lines = stdout.trim().split("\n");
      expect(lines.pop()).toBe("disposed");
      return lines;
    };
    const done = ["accumulate: done", "sum: done"];
    expect(calls({})).toEqual([...done, ...done]);
    // A step has three sums, of which the first is of the block.
    const first = calls({ DDSC_STAND_IN_NCCL: "fails", DDSC_STAND_IN_SUM: "4" });
    expect(first.slice(0, 2)).toEqual(done);
    expect(first[2]).toMatch(/^accumulate: CLUSTER_NCCL: ncclAllReduce failed: remote process exited/);
    expect(first[3]).toMatch(/^sum: CLUSTER_NCCL: /);
    const second = calls({ DDSC_STAND_IN_NCCL: "fails", DDSC_STAND_IN_SUM: "5" });
    expect(second.slice(0, 3)).toEqual([...done, "accumulate: done"]);
    expect(second[3]).toMatch(/^sum: CLUSTER_NCCL: ncclAllReduce failed: remote process exited/);
    // The second of a step begins, and never comes; the first is under way by then. What comes later goes through the host, and fails there.
    const gone = "CLUSTER_PEER_LOST: rank 1 is gone";
    const lost = calls({ DDSC_STAND_IN_NCCL: "stuck", DDSC_STAND_IN_SUM: "2" }, "lost");
    expect(lost).toEqual(["accumulate: done", `sum: ${gone}`, "accumulate: done", `sum: ${gone}`]);
    const early = calls({ DDSC_STAND_IN_NCCL: "stuck", DDSC_STAND_IN_SUM: "1" }, "lost");
    expect(early).toEqual([`accumulate: ${gone}`, `sum: ${gone}`, "accumulate: done", `sum: ${gone}`]);
  }, 120_000);

  it("is refused where ranks have different versions", async () => {
    const folder = join(root, "versions");
    const refused = await train(2, [folder, "2"], { DDSC_STAND_IN_NCCL: "other@1" });
    expect(refused.code).not.toBe(0);
    // Both see it; one may hear of the other's end before it has said so itself.
    for (const rank of [0, 1]) {
      expect(failureOf(folder, rank)).toMatch(
        /^(CLUSTER_PEER_LOST: rank [01] failed: )?CLUSTER_NCCL: rank 0 has NCCL 2\.23\.4 \(.+\) and rank 1 NCCL 2\.18\.5 \(.+\): all need the same; DDSC_NCCL/,
      );
    }
  }, 120_000);

  it.each([
    ["is missing", { DDSC_NCCL_LIBRARY: "libnone.so.2" }, /rank 0: .*libnone\.so\.2/],
    ["is none", { DDSC_NCCL_LIBRARY: "libc.so.6" }, /rank 0: libc\.so\.6 is no NCCL/],
    [
      "is too old on one rank",
      { DDSC_STAND_IN_NCCL: "old@1" },
      /rank 1: .*is too old: .*21003, and 2\.14\.0 is needed/,
    ],
    [
      "refuses, as where ranks share a GPU",
      { DDSC_STAND_IN_NCCL: "duplicate" },
      /rank 0: .*invalid usage \(Duplicate GPU/,
    ],
    [
      "does not bring all together",
      { DDSC_STAND_IN_NCCL: "absent@1", DDSC_CLUSTER_TIMEOUT: "4" },
      /rank [01]: .*4 s/,
    ],
  ])(
    "goes without, with a note, where the library %s",
    async (name, env, note) => {
      const run = await train(2, [join(root, name.replaceAll(" ", "-")), "2"], env);
      expect(run.code, run.stderr).toBe(0);
      expect(carrierOf(run)).toMatch(/; TCP; gradients go through the memory of the host, without NCCL: /);
      expect(carrierOf(run)).toMatch(note);
      expect(stepsOf(run)).toHaveLength(2);
    },
    120_000,
  );
});

/** NVIDIA's own, and a GPU. */
async function hasNccl(): Promise<boolean> {
  if (!nativeDevices().some(({ kind }) => kind === "cuda")) return false;
  const found = await new NativeCommunicator("tcp", 20).findNccl(NAMES).catch(() => undefined);
  return found !== undefined;
}
const isThere = await hasNccl();

describe.skipIf(!isThere)(isThere ? "NVIDIA's NCCL" : "NVIDIA's NCCL (skipped: no GPU, or no NCCL)", () => {
  it("is called as it wants to be: one rank joins, sums a gradient and leaves", async () => {
    const communicator = new NativeCommunicator("tcp", 60);
    const peers = [{ hosts: ["127.0.0.1"], port: communicator.port }];
    await communicator.join({ rank: 0, token: "0".repeat(64), seconds: 20, peers });
    await communicator.findNccl(NAMES);
    await communicator.joinNccl("cuda:0", await communicator.newNcclId(), 60);
    using model = new NativeDenoiser({
      config: {
        vocabSize: 5,
        geneVocabSize: 8,
        hidden: 64,
        blocks: 1,
        heads: 1,
        condDim: 16,
        dropout: 0,
        timeConditioning: true,
        rotary: true,
      },
      dtype: "fp32",
      device: "cuda:0",
      trainable: true,
    });
    const gradient = Float32Array.from({ length: model.bufferSize }, (_, i) => i / 7);
    await model.write("gradient", 0, gradient);
    for (let round = 0; round < 3; round++) await model.sumGradient(communicator);
    expect(await model.read("gradient", 0, model.bufferSize)).toEqual(gradient);
    await communicator.leave();
  }, 120_000);
});
