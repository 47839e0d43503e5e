import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { groupMemory } from "../../lib/model/control_group.js";
import { temporaryFolder } from "../data/support.js";

/** A root of a file system with these files. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const MiB = 2 ** 20;

describe("the memory of a control group", () => {
  it("of version 2 in a container is what stands at the root, its cache being free", () => {
    const root = rootWith({
      "proc/self/cgroup": "0::/\n",
      "sys/fs/cgroup/memory.max": `${512 * MiB}\n`,
      "sys/fs/cgroup/memory.high": "max\n",
      "sys/fs/cgroup/memory.current": `${300 * MiB}\n`,
      "sys/fs/cgroup/memory.stat": `anon 5\nfile 9\ninactive_file ${100 * MiB}\n`,
    });
    expect(groupMemory(root)).toEqual({ limit: 512 * MiB, free: 312 * MiB });
  });

  it("of version 1 is that of its own controller, also where the container does not see its path", () => {
    const root = rootWith({
      "proc/self/cgroup": "12:cpu,cpuacct:/docker/abc\n9:memory:/docker/abc\n1:name=systemd:/x\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": String(256 * MiB),
      "sys/fs/cgroup/memory/memory.usage_in_bytes": String(56 * MiB),
    });
    expect(groupMemory(root)).toEqual({ limit: 256 * MiB, free: 200 * MiB });
  });

  it("is the strictest of the groups above", () => {
    const root = rootWith({
      "proc/self/cgroup": "0::/user.slice/job\n",
      "sys/fs/cgroup/user.slice/job/memory.max": "max",
      "sys/fs/cgroup/user.slice/memory.max": String(1000 * MiB),
      "sys/fs/cgroup/user.slice/memory.high": String(800 * MiB),
    });
    expect(groupMemory(root)?.limit).toBe(800 * MiB);
  });

  it("is not known where there is no limit", () => {
    expect(groupMemory(rootWith({}))).toBeUndefined();
    const files = {
      "proc/self/cgroup": "9:memory:/\n0::/\n",
      "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    };
    expect(groupMemory(rootWith(files))).toBeUndefined();
  });
});
