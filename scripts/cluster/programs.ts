import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What starts the built `ddsc`. */
export const DDSC: readonly [string, string] = [process.execPath, `${ROOT}dist/cli/main.js`];

/** Variables without which Open MPI refuses to run as root, as in containers. */
export const AS_ROOT = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" } as const;

/** How a program ended; `code` is undefined where it was killed. */
export interface Ended {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts a program with a group of its own. */
export function start([program = "", ...words]: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(program, words, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (piece: Buffer) => {
    stdout += piece.toString();
  });
  child.stderr.on("data", (piece: Buffer) => {
    stderr += piece.toString();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? undefined, stdout, stderr }));
  });
  ended.catch(() => undefined);
  return { child, ended };
}

/** Waits for a program's end; kills its group, and throws, once it takes longer than this. */
export async function endOf({ child, ended }: Running, seconds: number): Promise<Ended> {
  const late = new AbortController();
  const lateness = delay(seconds * 1000, undefined, { signal: late.signal }).catch(() => undefined);
  const outcome = await Promise.race([ended, lateness]);
  late.abort();
  if (outcome !== undefined) return outcome;
  killGroup(child);
  await ended;
  throw new Error(`${child.spawnargs.slice(0, 3).join(" ")} ... did not end within ${seconds} s`);
}

/** Runs a program to its end, which must be a good one. */
export async function run(
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  seconds = 300,
): Promise<Ended> {
  const outcome = await endOf(start(words, env), seconds);
  if (outcome.code === 0) return outcome;
  throw new Error(`${words.slice(0, 3).join(" ")} ... ended with ${outcome.code}: ${lastLine(outcome)}`);
}

/** The last line that was printed, of errors first. */
export function lastLine({ stdout, stderr }: Ended): string {
  return (stderr.trim() || stdout.trim()).split("\n").at(-1) ?? "";
}

/** Kills a program that still runs, and what it started. */
export function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  // The number of one that has ended may be another's by now.
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Waits until this holds; throws with these words once it takes longer. */
export async function until(
  what: string,
  seconds: number,
  holds: () => boolean | Promise<boolean>,
  every = 20,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${seconds} s`);
    await delay(every);
  }
}

/** Processes of this machine whose environment holds this setting, with the environment of each. */
export function processesWith(name: string, value: string): { pid: number; env: Map<string, string> }[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const settings = readFileSync(`/proc/${entry}/environ`, "utf8").split("\0");
      const env = new Map(
        settings.map((setting) => {
          const at = setting.indexOf("=");
          return [setting.slice(0, at), setting.slice(at + 1)] as const;
        }),
      );
      return env.get(name) === value ? [{ pid: Number(entry), env }] : [];
    } catch {
      return []; // It has ended, or is another user's.
    }
  });
}
