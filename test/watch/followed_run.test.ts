import { appendFile, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LOCK_FILE, RunLock } from "../../lib/training/run_lock.js";
import { findRuns } from "../../lib/watch/find_runs.js";
import { FollowedRun } from "../../lib/watch/followed_run.js";
import type { CurveChange, RunInfo, ValidationChange, WatchEvent } from "../../lib/watch/messages.js";
import { line, lines, writeRun, writeStatus } from "./runs.js";

let folder: string;
let metrics: string;
let run: FollowedRun;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-followed-"));
  metrics = join(folder, "metrics.jsonl");
  run = new FollowedRun(folder);
});
afterEach(() => rm(folder, { recursive: true }));

/** Events by their names. */
function byName(events: readonly WatchEvent[]) {
  const of = (name: string) => events.find((event) => event.name === name)?.data;
  return {
    info: of("run") as RunInfo | undefined,
    curve: of("curve") as CurveChange | undefined,
    validations: of("validations") as ValidationChange | undefined,
  };
}

const poll = async () => byName(await run.poll());
const known = () => byName(run.snapshot());

describe("a run that is followed", () => {
  it("is told whole at first, and then what changed", async () => {
    await writeRun(folder);
    expect(await poll()).toMatchObject({
      info: { state: "finished", step: 20, steps: 100, notes: ["a note"], secondsLeft: null },
      curve: { from: 0, width: 1, loss: { length: 20 } },
      validations: { from: 0, steps: [10, 20], crossEntropy: [1.5, 1.5] },
    });
    expect(await run.poll()).toEqual([]);
    await appendFile(metrics, lines(21, 30));
    expect(await poll()).toMatchObject({
      info: { step: 30 },
      curve: { from: 20, steps: { length: 10 } },
      validations: { from: 2, steps: [30] },
    });
    expect(known().curve?.steps).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it("goes on in the same curve where it was killed and resumed from an earlier step", async () => {
    await writeRun(folder, { metrics: lines(1, 25), end: null });
    expect((await poll()).info).toMatchObject({ state: "killed", step: 25 });
    // As a resumed training does it: cut, said, gone on.
    await truncate(metrics, Buffer.byteLength(lines(1, 20)));
    await writeStatus(folder, { begun: "2026-01-02T00:00:00.000Z", end: null });
    await appendFile(metrics, lines(21, 40));
    await poll();
    expect(known().curve?.steps).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(known().validations?.steps).toEqual([10, 20, 30, 40]);
  });

  it("forgets steps that a line undoes, where nothing else told of it", async () => {
    await writeRun(folder, { metrics: lines(1, 25) });
    await poll();
    await appendFile(metrics, lines(19, 22));
    await poll();
    expect(known().curve?.steps).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
    expect(known().validations?.steps).toEqual([10, 20]);
  });

  it("takes a validation that was made late to its step, which stays", async () => {
    await writeRun(folder, { metrics: lines(1, 5) });
    await poll();
    await appendFile(metrics, `{"step":5,"validation":{"nll":1,"crossEntropy":1.25}}\n${line(6)}`);
    await poll();
    expect(known().curve?.steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(known().validations).toMatchObject({ steps: [5], crossEntropy: [1.25] });
  });

  it("begins anew where another run replaced it", async () => {
    await writeRun(folder, { metrics: lines(1, 25) });
    await poll();
    await rm(metrics);
    await writeFile(metrics, lines(1, 40).replaceAll('"gradientNorm":0.1', '"gradientNorm":0.7'));
    expect((await poll()).curve?.from).toBe(0);
    expect(new Set(known().curve?.gradientNorm)).toEqual(new Set([0.7]));
  });

  it("of 100,000 steps is sent in few points", async () => {
    await writeRun(folder, { metrics: lines(1, 100_000) });
    const { curve, validations } = await poll();
    expect(curve?.steps.length).toBeLessThanOrEqual(2000);
    expect(curve?.steps.at(-1)).toBe(100_000);
    expect(validations?.steps.length).toBeLessThanOrEqual(2000);
    expect(JSON.stringify(run.snapshot()).length).toBeLessThan(200_000);
    await appendFile(metrics, line(100_001));
    expect((await poll()).curve?.steps.length).toBeLessThanOrEqual(2);
  });

  it("trains while its folder is locked, and tells the time that is left", async () => {
    await writeRun(folder, { end: null });
    const lock = await RunLock.take(folder);
    expect((await poll()).info).toMatchObject({ state: "training", secondsLeft: 40, tokensPerSecond: 2000 });
    await lock.release();
    expect((await poll()).info).toMatchObject({ state: "killed", secondsLeft: null });
    await writeFile(
      join(folder, LOCK_FILE),
      JSON.stringify({ host: `not-${hostname()}`, pid: 1, since: "", id: "" }),
    );
    expect((await poll()).info).toMatchObject({ state: "training" });
  });

  it.each([
    [{ end: "aborted" }, "stopped"],
    [{ end: "patience" }, "finished"],
    [{ end: "failed", error: { code: "TRAIN_DIVERGED", message: "it grew" } }, "failed"],
  ] as const)("with %j is %s", async (changes, state) => {
    await writeRun(folder, changes);
    expect((await poll()).info).toMatchObject({ state, error: "error" in changes ? changes.error : null });
  });

  it("is shown as far as it is known without a status, without metrics, and without anything", async () => {
    expect((await poll()).info).toMatchObject({ state: "stopped", step: 0, checkpoint: null });
    await writeFile(metrics, lines(1, 3));
    expect((await poll()).info).toMatchObject({ state: "stopped", step: 3, steps: null });
    await rm(metrics);
    await mkdir(metrics);
    expect((await poll()).info).toMatchObject({ step: 0 });
  });

  it("shows texts of files cut short and in one line", async () => {
    const long = `<script>alert(1)</script>\u001b[31m\n${"x".repeat(100_000)}`;
    await writeRun(folder, { notes: [long], data: { name: long, cells: 1, genes: 1 } });
    const { info } = await poll();
    expect(info?.notes[0]).toMatch(/^<script>alert\(1\)<\/script>\\u001b\[31m\\nx+\.\.\.$/);
    expect(JSON.stringify(info).length).toBeLessThan(4000);
  });
});

describe("runs in folders", () => {
  it("are found three levels down, in the order of their names, and as the user named the folder", async () => {
    for (const name of ["run-10", "run-2", "study/a", "study/deep/b", "study/deep/er/c", ".hidden/d"])
      await writeRun(join(folder, name));
    const found = await findRuns([folder, join(folder, "study/a"), join(folder, "missing")]);
    const names = ["run-2", "run-10", "study/a", "study/deep/b"];
    expect(found).toEqual({ runs: names.map((name) => join(folder, name)), more: false });
  });

  it("are followed up to a number, and told that there are more", async () => {
    for (let number = 0; number < 65; number++)
      await writeRun(join(folder, `run-${number}`), { metrics: "" });
    const { runs, more } = await findRuns([folder]);
    expect([runs.length, more]).toEqual([64, true]);
  });
});
