import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { packageVersion } from "../base/version.js";
import { type MachineMemory, processMemory } from "../model/memory.js";
import { nativeBinary } from "../native/addon.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The addon that is used, and why that one. */
export interface BinaryChoice {
  /** From the package's folder where it lies in that. */
  readonly path: string;
  readonly kind: "prebuilt" | "built from source" | "elsewhere";
  readonly reason: string;
}

/** Where the package runs. */
export interface Machine {
  readonly package: string;
  readonly node: string;
  /** Such as "linux-x64". */
  readonly platform: string;
  readonly kernel: string;
  /** "glibc 2.36", "musl"; undefined where there is but one. */
  readonly libc: string | undefined;
  readonly processor: string;
  readonly processors: number;
  readonly memory: MachineMemory;
  /** First line of what NVIDIA's kernel driver says of itself; undefined where it is not loaded. */
  readonly nvidiaDriver: string | undefined;
  /** Variables that change what is used. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Variables of the environment that change which binary, device or kernels are used. */
const VARIABLES = /^(DDSC_\w+|CUDA_VISIBLE_DEVICES|PREBUILDS_ONLY|LIBC)$/;

/** Those of them whose values are nobody else's: reports of bugs are public. */
const SECRETS = /_(SECRET|TOKEN)$/;

/** What there is to know without the addon. */
export function describeMachine(): Machine {
  const variables = Object.entries(process.env)
    .filter(([name]) => VARIABLES.test(name))
    .map(([name, value]) => [name, SECRETS.test(name) ? "(not shown)" : value]);
  return {
    package: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    libc: libc(),
    processor: cpus()[0]?.model.trim() || "unknown",
    processors: availableParallelism(),
    memory: processMemory(),
    nvidiaDriver: nvidiaDriver(),
    variables: Object.fromEntries(variables) as Record<string, string>,
  };
}

function libc(): string | undefined {
  if (process.platform !== "linux") return undefined;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  const version = header?.glibcVersionRuntime;
  return version === undefined ? "musl" : `glibc ${version}`;
}

function nvidiaDriver(): string | undefined {
  try {
    return readFileSync("/proc/driver/nvidia/version", "utf8")
      .split("\n")[0]
      ?.replace(/^NVRM version: /, "");
  } catch {
    return undefined;
  }
}

/** Which addon is used, and why. Throws `NATIVE_LOAD`. */
export function chosenBinary(): BinaryChoice {
  return explainBinary(nativeBinary(), ROOT);
}

/** Why this file is the addon of the package in `root`. */
export function explainBinary(file: string, root: string): BinaryChoice {
  const path = relative(root, file);
  const here = `${process.platform}-${process.arch}`;
  if (/^build[/\\](Release|Debug)[/\\]/.test(path)) {
    const prebuilt = existsSync(join(root, "prebuilds", here));
    return {
      path,
      kind: "built from source",
      reason: prebuilt
        ? "a build here goes before the prebuilt binary"
        : `there is no prebuilt binary for ${here}`,
    };
  }
  if (/^prebuilds[/\\]/.test(path)) {
    const folder = basename(dirname(path));
    return { path, kind: "prebuilt", reason: `it is the one for ${folder}, and nothing was built here` };
  }
  return {
    path: file,
    kind: "elsewhere",
    reason: "a variable of the environment names it, or Node's folder",
  };
}
