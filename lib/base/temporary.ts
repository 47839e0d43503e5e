import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasEnded, processSpace } from "./processes.js";

/**
 * A name beside `target` that nothing has, for what is being written or on its way out: hidden, and with the process that
 * writes, `.NAME.SPACE-PID-RANDOM.tmp`, so that a later one can tell whether that is still there.
 */
export async function temporaryName(target: string): Promise<string> {
  const process = `${await processSpace()}-${globalThis.process.pid}`;
  return join(dirname(target), `.${basename(target)}.${process}-${randomBytes(4).toString("hex")}.tmp`);
}

/** What `temporaryName` makes: the name that it is for, then space and process. */
const TEMPORARY = /^\.(.+)\.([0-9a-f]{8})-([1-9]\d{0,9})-[0-9a-f]{8}\.tmp$/s;

/** The name that a temporary file or folder stands in for; undefined for the name of anything else. */
export function temporaryFor(name: string): string | undefined {
  return TEMPORARY.exec(name)?.[1];
}

/**
 * Removes what killed processes left in a folder under temporary names of what `isOwn` says is written there: only of
 * processes of this machine that have ended. What cannot be removed stays.
 */
export async function removeLeftovers(folder: string, isOwn: (name: string) => boolean): Promise<void> {
  const space = await processSpace();
  for (const name of await readdir(folder).catch(() => [])) {
    const [, target = "", ofSpace, pid] = TEMPORARY.exec(name) ?? [];
    if (ofSpace !== space || !isOwn(target) || !(await hasEnded(Number(pid)))) continue;
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
