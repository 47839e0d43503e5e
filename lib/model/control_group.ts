import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Memory that a control group (a container) may have. */
export interface GroupMemory {
  /** Bytes that its processes may have together. */
  readonly limit: number;
  /** Of these, bytes that are not in use; what the system only caches counts as free. */
  readonly free: number;
}

/** Larger ones are no limit: version 1 writes the largest multiple of a page that there is. */
const LARGEST = 2 ** 60;

/**
 * The memory that the control groups of this process leave it, version 1 and 2, the strictest of the group and those above it;
 * undefined where there is no limit. In a container the groups may stand at the root of what is mounted, under whatever name.
 *
 * @param root of the file system, for tests
 */
export function groupMemory(root = "/"): GroupMemory | undefined {
  let strictest: GroupMemory | undefined;
  for (const { folder, limits, used, cached } of groupsOf(root)) {
    const stated = limits.map((name) => numberIn(join(folder, name))).filter((limit) => limit !== undefined);
    const limit = Math.min(...stated);
    if (!(limit < LARGEST)) continue;
    const inUse = (numberIn(join(folder, used)) ?? 0) - cachedIn(join(folder, "memory.stat"), cached);
    const free = Math.max(0, limit - Math.max(0, inUse));
    strictest = {
      limit: Math.min(limit, strictest?.limit ?? limit),
      free: Math.min(free, strictest?.free ?? free),
    };
  }
  return strictest;
}

/** A group and the names of its files. */
interface Group {
  readonly folder: string;
  readonly limits: readonly string[];
  readonly used: string;
  /** Line of memory.stat: file pages that can go at once. */
  readonly cached: string;
}

function groupsOf(root: string): Group[] {
  const groups: Group[] = [];
  for (const line of (textIn(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const isFirst = controllers.split(",").includes("memory");
    if (path === "" || (!isFirst && controllers !== "")) continue;
    const mount = join(root, "sys/fs/cgroup", isFirst ? "memory" : "");
    for (const above of [path, ...aboveOf(path)])
      groups.push({
        folder: join(mount, above),
        limits: isFirst ? ["memory.limit_in_bytes"] : ["memory.max", "memory.high"],
        used: isFirst ? "memory.usage_in_bytes" : "memory.current",
        cached: isFirst ? "total_inactive_file" : "inactive_file",
      });
  }
  return groups;
}

/** Paths above a path, "/" the last. */
function aboveOf(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return parts.map((_, i) => `/${parts.slice(0, parts.length - 1 - i).join("/")}`);
}

function textIn(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** The number that a file holds; undefined for "max" and where there is none. */
function numberIn(file: string): number | undefined {
  const text = textIn(file)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function cachedIn(file: string, name: string): number {
  const line = (textIn(file) ?? "").split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}
