import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const tools = (await import(join(ROOT, "scripts/build_tools.mjs"))) as {
  installCommand(system: string, osRelease?: string): string;
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ddsc-install-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("how a system gets what a build needs", () => {
  it.each([
    ["ID=debian\nVERSION_ID=12\n", "apt-get install cmake g++ make"],
    ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "apt-get install cmake g++ make"],
    ["ID=fedora\n", "dnf install cmake gcc-c++ make"],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf install cmake gcc-c++ make"],
    ["ID=alpine\n", "apk add cmake g++ make"],
    ["ID=nobodyknows\n", "install CMake 3.20 or newer, make, and GCC 11 or Clang 14 or newer"],
  ])("%j", (release, command) => {
    const file = join(folder, "os-release");
    writeFileSync(file, release);
    expect(tools.installCommand("linux", file)).toBe(command);
  });

  it("on macOS, and where a system does not say what it is", () => {
    expect(tools.installCommand("darwin")).toBe("xcode-select --install && brew install cmake");
    expect(tools.installCommand("linux", join(folder, "missing"))).toMatch(/^install CMake/);
  });
});

describe("the install step without a prebuilt binary", () => {
  /** Runs it in a package of its own, with nothing on the PATH but these programs. */
  function install(
    programs: Readonly<Record<string, string>>,
    env: NodeJS.ProcessEnv = {},
  ): SpawnSyncReturns<string> {
    const root = join(folder, "package");
    const path = join(folder, "bin");
    mkdirSync(join(root, "scripts"), { recursive: true });
    mkdirSync(path);
    for (const name of ["install", "build_addon", "build_tools"]) {
      cpSync(join(ROOT, `scripts/${name}.mjs`), join(root, `scripts/${name}.mjs`));
    }
    cpSync(join(ROOT, "package.json"), join(root, "package.json"));
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    writeFileSync(join(root, "CMakeLists.txt"), "");
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(path, name), 0o755);
    }
    return spawnSync(process.execPath, [join(root, "scripts/install.mjs")], {
      encoding: "utf8",
      env: { PATH: path, TMPDIR: folder, HOME: folder, ...env },
    });
  }

  const good = { cmake: "echo cmake version 3.25.1", make: "", "g++": "" };

  it("says in three lines that the tools are missing, and how to get them", () => {
    const { status, stderr, stdout } = install({});
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(
        /^ddsc: no prebuilt binary loads on \w+-\w+( \(musl\))?, and it cannot be built$/,
      ),
      "  missing here: cmake, make, a C++20 compiler",
      `  to build it from source: ${tools.installCommand(process.platform)}; then npm install ddsc`,
    ]);
  });

  it("names only what is missing, and a CMake that is too old", () => {
    expect(install({ ...good, cmake: "echo cmake version 3.18.4" }).stderr).toContain(
      "\n  missing here: cmake 3.20 or newer\n",
    );
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    const { "g++": _, ...withoutCompiler } = good;
    expect(install(withoutCompiler).stderr).toContain("\n  missing here: a C++20 compiler\n");
  });

  it("says in three lines that a build failed, and where its output is", () => {
    const cmake =
      '[ "$1" = --version ] && echo cmake version 3.25.1 || { echo noise; echo "CMake Error: boom" >&2; exit 1; }';
    const { status, stderr } = install({ ...good, cmake });
    expect(status).toBe(1);
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain("boom");
    const [, log] = /^ {2}the build failed: .*boom.* \(all of it: (.*)\)$/.exec(lines[1]!) ?? [];
    expect(readFileSync(log!, "utf8")).toContain("noise");
  });

  it("says that the build was asked for where it was", () => {
    expect(install({}, { npm_config_build_from_source: "true" }).stderr).toMatch(
      /^ddsc: the build from source that was asked for cannot be made\n/,
    );
  });

  it("does nothing where a prebuilt binary loads", () => {
    const built = join(ROOT, "build/Release/ddsc.node");
    if (!existsSync(built)) return;
    const prebuilds = join(folder, "package/prebuilds", `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    cpSync(built, join(prebuilds, "ddsc.node"));
    expect(install({})).toMatchObject({ status: 0, stderr: "", stdout: "" });
  });
});
