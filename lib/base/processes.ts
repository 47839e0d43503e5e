import { createHash } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { errorCode } from "./files.js";

/** What the system tells of a process; undefined where it has no such files or does not show them. */
export async function processOf(pid: number): Promise<{ start: string; ended: boolean } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The name, in parentheses, may hold anything. After it: the state, field 3 of all, and the start, field 22.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields?.[0], fields?.[19]];
  if (state === undefined || start === undefined) return undefined;
  // A killed process stays as a zombie for as long as its parent does not ask for it.
  return { start, ended: state === "Z" || state === "X" };
}

/**
 * Whether a process of this machine has surely ended.
 * @param start when it began, as `processOf` says, to tell it from a later one of the same number; undefined: not known
 */
export async function hasEnded(pid: number, start?: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Otherwise it is another user's, and there.
    if (errorCode(error) === "ESRCH") return true;
  }
  const found = await processOf(pid);
  if (found === undefined) return false;
  return found.ended || (start !== undefined && found.start !== start);
}

let own: Promise<string> | undefined;

/**
 * Eight hexadecimal digits for where process numbers mean the same as here: this machine and, in a container, this space of
 * process numbers. Two containers may share a folder and a host name, and do not see each other's processes.
 */
export function processSpace(): Promise<string> {
  own ??= readSpace();
  return own;
}

async function readSpace(): Promise<string> {
  const machine = await readFile("/etc/machine-id", "utf8").catch(() => "");
  const space = await readlink("/proc/self/ns/pid").catch(() => "");
  return createHash("sha256").update([hostname(), machine, space].join("\0")).digest("hex").slice(0, 8);
}
