import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LOCK_FILE, RunLock } from "../../lib/training/run_lock.js";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-lock-"));
  file = join(folder, LOCK_FILE);
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Writes the lock of some process; by default one that is there. */
async function leave(holder: Record<string, unknown>): Promise<void> {
  const own = { host: hostname(), pid: process.pid, processStart: null, since: "yesterday", id: "other" };
  await writeFile(file, JSON.stringify({ ...own, ...holder }));
}

/** Number of a process that has ended. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await new Promise((resolve) => child.on("exit", resolve));
  return child.pid!;
}

describe("the lock of a run", () => {
  it("is had by one training at a time, and says whose it is", async () => {
    const lock = await RunLock.take(folder);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ host: hostname(), pid: process.pid });
    await expect(RunLock.take(folder)).rejects.toThrow(`process ${process.pid} trains in it since`);
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    await (await RunLock.take(folder)).release();
  });

  it("is had by one of many that ask at once", async () => {
    await leave({ pid: await endedProcess() });
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => RunLock.take(folder)));
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of asked)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "RUN_LOCKED" });
    expect(await readdir(folder)).toEqual([LOCK_FILE]);
  });

  it("does not lock a copy of the folder", async () => {
    const lock = await RunLock.take(folder);
    const copy = join(folder, "copy");
    await mkdir(copy);
    await copyFile(file, join(copy, LOCK_FILE));
    await RunLock.check(copy);
    await (await RunLock.take(copy)).release();
    await expect(RunLock.check(folder)).rejects.toThrow("RUN_LOCKED");
    await lock.release();
  });

  it("is taken over from a process that is gone", async () => {
    await leave({ pid: await endedProcess() });
    await RunLock.check(folder);
    await (await RunLock.take(folder)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it.runIf(process.platform === "linux")(
    "is taken over where the process of that number began at another time",
    async () => {
      await leave({ processStart: "1" });
      await (await RunLock.take(folder)).release();
      await leave({});
      await expect(RunLock.take(folder)).rejects.toThrow(/RUN_LOCKED/);
    },
  );

  it.runIf(process.platform === "linux")(
    "is taken over from a killed process that none has asked for",
    async () => {
      // The shell becomes a program that never asks for its child.
      const parent = spawn("sh", ["-c", "sh -c 'echo $$' & exec sleep 60"]);
      const pid = await new Promise<number>((resolve) =>
        parent.stdout.once("data", (text) => resolve(Number(text))),
      );
      await leave({ pid });
      await expect.poll(() => readFile(`/proc/${pid}/stat`, "utf8")).toMatch(/\) Z /);
      await (await RunLock.take(folder)).release();
      parent.kill("SIGKILL");
    },
  );

  it("is taken over where its process was killed before it said who it is", async () => {
    await writeFile(file, "");
    await (await RunLock.take(folder)).release();
  });

  it("of another machine is respected, and the message says what to delete", async () => {
    await leave({ host: "elsewhere", pid: 1 });
    await expect(RunLock.take(folder)).rejects.toThrow(
      /RUN_LOCKED.*process 1 on elsewhere.*delete .*training\.lock/,
    );
  });

  it("that cannot be read is respected", async () => {
    await writeFile(file, "my own");
    await expect(RunLock.take(folder)).rejects.toThrow(/RUN_LOCKED.*delete it if no training runs/);
    expect(await readFile(file, "utf8")).toBe("my own");
  });

  it("is not given back by who has lost it", async () => {
    const lock = await RunLock.take(folder);
    await leave({});
    await lock.release();
    expect(await readdir(folder)).toEqual([LOCK_FILE]);
  });
});
