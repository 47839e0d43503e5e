import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readStatus } from "../../lib/training/run_status.js";
import { ddsc, ended, start, writeStudy } from "./program.js";

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-watch-"));
  data = join(folder, "cells.h5ad");
  await writeStudy(data);
});
afterAll(() => rm(folder, { recursive: true }));

/** Waits until a stream has said something. */
function said(stream: NodeJS.ReadableStream, what: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (piece: Buffer) => {
      text += piece.toString();
      const found = what.exec(text);
      if (found !== null) resolve(found);
    });
    stream.on("close", () => reject(new Error(`it said only: ${text}`)));
  });
}

describe("ddsc watch", () => {
  it("says where its page is, serves it, and ends at Ctrl-C", async () => {
    const child = start(["watch", folder, "--port", "0"]);
    const end = ended(child);
    const [, address = ""] = await said(child.stdout, /watch at (http:\/\/127\.0\.0\.1:\d+\/)\n/);
    expect(await (await fetch(address)).text()).toContain("<title>ddsc runs</title>");
    child.kill("SIGINT");
    expect((await end).code).toBe(130);
  });

  it("asks for the token of its environment, or a new one", async () => {
    const token = "a-token-that-stays";
    for (const [words, env, printed] of [
      [[], { DDSC_WATCH_TOKEN: token }, token],
      [["--token"], {}, "[\\w-]{32}"],
    ] as const) {
      const child = start(["watch", folder, "--port", "0", ...words], env);
      const end = ended(child);
      const what = new RegExp(`(http://127\\.0\\.0\\.1:\\d+/)\\?enter=(${printed})\n`);
      const [, address = "", given = ""] = await said(child.stdout, what);
      expect((await fetch(address)).status).toBe(401);
      expect((await fetch(`${address}?enter=${given}`, { redirect: "manual" })).status).toBe(303);
      child.kill("SIGTERM");
      expect((await end).code).toBe(143);
    }
  });

  it.each([
    [["watch"], 2, /USAGE.*runs/],
    [["watch", "missing-folder"], 1, /WATCH_RUNS: missing-folder: there is no such folder/],
    [["watch", ".", "--host", "192.0.2.1", "--port", "0"], 1, /WATCH_HOST.*192\.0\.2\.1/],
    [["watch", ".", "--port", "70000"], 2, /USAGE.*--port/],
  ] as const)("says what is wrong with %j", async (words, code, message) => {
    const result = await ddsc(...words);
    expect([result.code, result.stderr]).toEqual([code, expect.stringMatching(message)]);
  });

  it("says so where its port is in use, as does a training, before it begins", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const watched = await ddsc("watch", folder, "--port", String(port));
    expect([watched.code, watched.stderr]).toEqual([1, expect.stringContaining(`WATCH_PORT: port ${port}`)]);
    const out = join(folder, "never");
    const trained = await ddsc("train", "--data", data, "--out", out, "--watch", String(port));
    expect([trained.code, trained.stderr]).toEqual([1, expect.stringContaining("WATCH_PORT")]);
    expect(await readStatus(out)).toBeUndefined();
    other.close();
  });
});

describe("ddsc train --tensorboard", () => {
  it("writes event files beside the run, another where it goes on, and the same run", async () => {
    const [out, logs] = [join(folder, "logged"), join(folder, "logs")];
    const words = ["train", "--out", out, "--tensorboard", logs];
    const first = await ddsc(...words, "--data", data, "--steps", "3", "--batch", "8");
    expect(first.code, first.stderr).toBe(0);
    const second = await ddsc(...words, "--resume", "--steps", "5");
    expect(second.code, second.stderr).toBe(0);
    const names = (await readdir(logs)).sort();
    expect(names).toHaveLength(2);
    const [before = "", after = ""] = await Promise.all(
      names.map(async (name) => (await readFile(join(logs, name))).toString("latin1")),
    );
    const times = (text: string, what: string) => text.split(what).length - 1;
    expect([times(before, "train/learning_rate"), times(after, "train/learning_rate")]).toEqual([3, 2]);
    expect(before).toContain("limit.cells");
    expect(times(after, "validation/nll")).toBeGreaterThan(0);
  });

  it("says so before it trains where nothing can be written there", async () => {
    const out = join(folder, "unlogged");
    const size = ["--steps", "1", "--batch", "8"];
    const { code, stderr } = await ddsc(
      "train",
      "--data",
      data,
      "--out",
      out,
      ...size,
      "--tensorboard",
      data,
    );
    expect([code, stderr]).toEqual([1, expect.stringContaining("FILE_WRITE")]);
    expect(await readStatus(out)).toBeUndefined();
  });
});

describe("ddsc train --watch", () => {
  it("serves a page about its run while it trains, and ends with it", async () => {
    const out = join(folder, "run");
    const child = start([
      "train",
      "--data",
      data,
      "--out",
      out,
      "--steps",
      "100000",
      "--batch",
      "8",
      "--watch",
    ]);
    const end = ended(child);
    const [, address = ""] = await said(child.stderr, /watch the run at (http:\/\/127\.0\.0\.1:\d+\/)\n/);
    const events = await fetch(`${address}events`);
    let text = "";
    for await (const piece of events.body ?? []) {
      text += Buffer.from(piece).toString();
      if (text.includes('"state":"training"') && text.includes("event: curve")) break;
    }
    expect(text).toContain(JSON.stringify(out).slice(1, -1));
    child.kill("SIGINT");
    const { code, stderr } = await end;
    expect(code, stderr).toBe(130);
    expect(await readStatus(out)).toMatchObject({ end: "aborted", error: null });
    await expect(fetch(address)).rejects.toThrow();
  });
});
