import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunsPage, watchRuns } from "../../lib/watch/index.js";
import { writeRun } from "./runs.js";

let folder: string;
let page: RunsPage;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-server-"));
  await writeRun(join(folder, "a"));
  page = await watchRuns([folder], { port: 0 });
});
afterAll(async () => {
  await page.close();
  await rm(folder, { recursive: true });
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Asks as no browser would: with any method, path as it is, and headers. */
function ask(
  port: number,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, ...options }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Listens to events until enough have come. */
function events(port: number, enough: (text: string) => boolean, headers: Record<string, string> = {}) {
  return new Promise<string>((resolve, reject) => {
    let text = "";
    const asked = request({ host: "127.0.0.1", port, path: "/events", headers }, (response) => {
      response.on("data", (piece) => {
        text += piece;
        if (!enough(text)) return;
        asked.destroy();
        resolve(text);
      });
      response.on("close", () => reject(new Error("the server ended it")));
    });
    asked.on("error", (error) => (enough(text) ? resolve(text) : reject(error)));
    asked.end();
  });
}

const whole = (text: string) => text.includes("event: validations");

describe("the server of runs", () => {
  it("gives a page and its files, under a policy that lets nothing else in", async () => {
    const { status, headers, body } = await ask(page.port, "/");
    expect(status).toBe(200);
    expect(headers["content-security-policy"]).toContain(
      "default-src 'none'; script-src 'self'; style-src 'self'",
    );
    expect(headers["content-security-policy"]).not.toMatch(/unsafe|\*|http/);
    expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    const named = [...body.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path ?? "");
    expect(named).toHaveLength(4);
    for (const path of named) expect((await ask(page.port, path)).status).toBe(200);
    expect(body).not.toMatch(/<script>|style=|https?:/);
  });

  it.each([
    "/..",
    "/../../etc/passwd",
    "/client/../../package.json",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/client/..%2f..%2fserver.js",
    "/client/",
    "/a/metrics.jsonl",
    "/constructor",
    "/__proto__",
  ])("has nothing at %s", async (path) => {
    const { status, body } = await ask(page.port, path);
    // Dots that a URL resolves may lead to the page itself, and to nothing else.
    if (status === 200) expect(body).toContain("<title>ddsc runs</title>");
    else expect(status).toBe(404);
  });

  it.each(["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])("does not answer %s", async (method) => {
    const { status, headers } = await ask(page.port, "/", { method });
    expect([status, headers.allow]).toEqual([405, "GET"]);
  });

  it("is only for those who name this machine as itself", async () => {
    const withHost = async (host: string) => (await ask(page.port, "/events", { headers: { host } })).status;
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"])
      expect(await withHost(host)).toBe(403);
    for (const host of ["localhost", "LOCALHOST:9", "[::1]:80", `127.0.0.1:${page.port}`])
      expect((await ask(page.port, "/", { headers: { host } })).status).toBe(200);
  });

  it("outlives requests that are none", async () => {
    for (const text of [
      "GET //evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "\0\0\0\r\n\r\n",
      "GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(page.port, "127.0.0.1", () => socket.end(text));
        socket.on("data", () => undefined);
        socket.on("close", () => resolve());
        socket.on("error", () => resolve());
      });
    }
    expect((await ask(page.port, "/")).status).toBe(200);
  });

  it("sends all that there is, and to a page that comes back what it missed", async () => {
    const first = await events(page.port, whole);
    const names = [...first.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name);
    expect(names.filter((name) => name !== "notice")).toEqual(["reset", "run", "curve", "validations"]);
    const ids = [...first.matchAll(/^id: (.+)$/gm)].map(([, id]) => id ?? "");
    const curve = ids[names.indexOf("curve")] ?? "";
    const missed = await events(page.port, whole, { "Last-Event-ID": curve });
    expect(missed).toMatch(/^retry: 1000\n\nid: \S+\nevent: validations\n/);
    expect(missed).not.toContain("event: reset");
    for (const id of ["", "other-3", "x", `${curve}9999`, curve.replace(/-.*/, "--1")])
      expect(await events(page.port, whole, { "Last-Event-ID": id })).toContain("event: reset");
  });

  it("lets so many pages listen and no more, and others again when these have gone", async () => {
    const open = Array.from({ length: 32 }, () => {
      const asked = request({ host: "127.0.0.1", port: page.port, path: "/events" });
      const answered = new Promise<void>((resolve) => asked.once("response", () => resolve()));
      asked.on("error", () => undefined);
      asked.end();
      return { asked, answered };
    });
    await Promise.all(open.map(({ answered }) => answered));
    expect((await ask(page.port, "/events")).status).toBe(503);
    for (const { asked } of open) asked.destroy();
    await expect.poll(() => events(page.port, () => true).catch(() => "")).toContain("retry");
  });

  it("ends with pages open", async () => {
    const other = await watchRuns([folder], { port: 0 });
    const listening = events(other.port, () => false).then(
      () => "ended",
      () => "ended",
    );
    await events(other.port, whole);
    await other.close();
    expect(await listening).toBe("ended");
    await expect(ask(other.port, "/")).rejects.toThrow();
  });
});

describe("where a token is asked for", () => {
  const token = "0123456789abcdef-_";
  let guarded: RunsPage;
  beforeAll(async () => {
    guarded = await watchRuns([folder], { port: 0, token });
  });
  afterAll(() => guarded.close());

  it("gives nothing without it, not even the page", async () => {
    for (const path of ["/", "/events", "/style.css", "/?enter=", "/?enter=0123456789abcdef-x", "/missing"])
      expect((await ask(guarded.port, path)).status).toBe(401);
    const cookie = `ddsc-watch-${guarded.port}=wrong; other=${token}`;
    expect((await ask(guarded.port, "/", { headers: { cookie } })).status).toBe(401);
  });

  it("takes it out of the address into a cookie, which then is enough", async () => {
    expect(guarded.address).toBe(`http://127.0.0.1:${guarded.port}/?enter=${token}`);
    const { status, headers } = await ask(guarded.port, `/?enter=${token}`);
    expect([status, headers.location]).toEqual([303, "/"]);
    const [set = ""] = headers["set-cookie"] ?? [];
    expect(set).toMatch(/; HttpOnly; SameSite=Lax; Path=\/$/);
    const cookie = set.split(";")[0] ?? "";
    expect((await ask(guarded.port, "/", { headers: { cookie, host: "gpu-7.example" } })).status).toBe(200);
  });

  it("is asked for wherever another machine could reach it, and is new each time", async () => {
    const tokens = new Set<string>();
    for (let time = 0; time < 2; time++) {
      await using open = await watchRuns([folder], { port: 0, host: "0.0.0.0" });
      expect((await ask(open.port, "/")).status).toBe(401);
      tokens.add(/\?enter=([\w-]{32})$/.exec(open.address)?.[1] ?? "");
    }
    expect(tokens.size).toBe(2);
    expect(tokens).not.toContain("");
  });
});

describe("watchRuns", () => {
  it("says what stands in its way", async () => {
    await expect(watchRuns([join(folder, "missing")])).rejects.toThrow(/WATCH_RUNS.*no such folder/);
    await expect(watchRuns([join(folder, "a/metrics.jsonl")])).rejects.toThrow(/WATCH_RUNS.*no folder/);
    await expect(watchRuns([folder], { port: page.port })).rejects.toThrow(/WATCH_PORT.*in use/);
    await expect(watchRuns([folder], { port: 0, host: "192.0.2.1" })).rejects.toThrow(/WATCH_HOST/);
    await expect(watchRuns([folder], { port: 70_000 })).rejects.toThrow(/ARGUMENT_RANGE/);
    await expect(watchRuns([folder], { token: "short" })).rejects.toThrow(/ARGUMENT_RANGE.*token/);
    await expect(watchRuns(folder as never)).rejects.toThrow(/ARGUMENT_TYPE/);
  });

  it("takes another port where its usual one is in use", async () => {
    await using first = await watchRuns([folder]);
    await using second = await watchRuns([folder]);
    expect(second.port).not.toBe(first.port);
  });
});
