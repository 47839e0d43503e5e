import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, start, writeStudy } from "./program.js";

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-closed-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

/** The exit code of a program nobody reads from. */
async function unread(...words: readonly string[]): Promise<number | null> {
  const child = start(words);
  child.stdout.destroy();
  child.stderr.destroy();
  return new Promise((resolve) => child.on("exit", resolve));
}

describe("a program whose output nobody reads any more", () => {
  it("trains to the end and exits with 0", async () => {
    const out = join(folder, "run");
    // Validations write a line each.
    const words = ["--data", data, "--steps", "8", "--batch", "8", "--validate-every", "1", "--json"];
    expect(await unread("train", ...words, "--out", out)).toBe(0);
    const { state } = JSON.parse(await readFile(join(out, "last", "training.json"), "utf8"));
    expect(state.step).toBe(8);
  });

  it("exits with 1 where the work fails, and with 2 for a wrong command line", async () => {
    const words = ["--data", data, "--out", join(folder, "none"), "--where", "cell_type = 'none'"];
    expect(await unread("train", ...words)).toBe(1);
    expect(await unread("train", "--out", join(folder, "none"), "--json")).toBe(2);
  });
});

describe("a program whose results cannot be written", () => {
  it.runIf(existsSync("/dev/full"))("says so, and exits with 1", async () => {
    const child = spawn(process.execPath, command(["inspect", data]), {
      stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
    });
    let problems = "";
    child.stderr?.on("data", (text) => {
      problems += text;
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(1);
    expect(problems).toMatch(/^ddsc: FILE_WRITE: stdout: cannot be written: .*ENOSPC.*\n$/);
  });
});
