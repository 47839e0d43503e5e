import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const { prebuildProblems } = (await import(
  join(import.meta.dirname, "../../scripts/check_prebuilds.mjs")
)) as {
  prebuildProblems(file: Buffer, arch: string): string[];
};

const REGISTRATION = 'extern "C" void napi_register_module_v1() {}\n';
const arch = process.arch;

describe.skipIf(process.platform !== "linux")("the check of prebuilt binaries", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "ddsc-elf-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A shared library of this source, without the standard library and stripped unless asked otherwise. */
  function library(
    source: string,
    options: readonly string[] = [],
    defaults = ["-nodefaultlibs", "-lc", "-s"],
  ) {
    const [file, input] = [join(folder, "library.node"), join(folder, "source.cpp")];
    writeFileSync(input, source);
    const flags = ["-shared", "-fPIC", "-fvisibility=default", input, ...options, ...defaults, "-o", file];
    const { stderr } = spawnSync("c++", flags, { encoding: "utf8" });
    expect(stderr).toBe("");
    return readFileSync(file);
  }

  it("passes one that needs an old libc alone", () => {
    expect(prebuildProblems(library(REGISTRATION), arch)).toEqual([]);
  });

  it("finds a binary for another architecture", () => {
    expect(prebuildProblems(library(REGISTRATION), "riscv64")).toEqual([`is for ${arch}, not riscv64`]);
  });

  it("finds symbols of a newer glibc", () => {
    const file = library(REGISTRATION);
    const renamed = library(`${REGISTRATION}#include <cstdlib>\nvoid* p() { return malloc(1); }`, [
      "-fvisibility=hidden",
    ]);
    expect(prebuildProblems(file, arch)).toEqual([]);
    // The version's name in the file's table of strings; as long as the one it replaces.
    const old = /GLIBC_2\.(2\.5|17)\0/.exec(renamed.toString("latin1"));
    const text = "GLIBC_2.99".padEnd(old![0].length, "\0");
    const newer = Buffer.concat([
      renamed.subarray(0, old!.index),
      Buffer.from(text, "latin1"),
      renamed.subarray(old!.index + old![0].length),
    ]);
    expect(prebuildProblems(newer, arch)).toContain("needs GLIBC_2.99, newer than glibc 2.34");
  });

  it("finds other libraries and their versions", () => {
    const source = `${REGISTRATION}#include <string>\nstd::string text() { return std::to_string(std::stod("1")); }`;
    const problems = prebuildProblems(library(source, [], ["-s"]), arch);
    expect(problems).toContain("needs the library libstdc++.so.6");
    expect(problems).toContainEqual(
      expect.stringMatching(/^needs GLIBCXX_.*: link that library statically$/),
    );
    expect(problems).toContainEqual(expect.stringMatching(/^shows the symbol _Z4text/));
  });

  it("finds a path to search for libraries, debugging symbols, and a missing registration", () => {
    expect(prebuildProblems(library(REGISTRATION, ["-Wl,-rpath,/opt/lib"]), arch)).toEqual([
      "looks for libraries in /opt/lib",
    ]);
    expect(prebuildProblems(library(REGISTRATION, [], ["-nodefaultlibs", "-lc"]), arch)).toEqual([
      "is not stripped",
    ]);
    expect(prebuildProblems(library(""), arch)).toEqual(["registers no Node-API module"]);
  });

  it("finds what is no binary, and one that is too large", () => {
    expect(prebuildProblems(Buffer.from("#!/bin/sh\n"), arch)).toEqual(["no 64-bit little-endian ELF file"]);
    // Bytes that do not compress.
    const bytes = Array.from({ length: 64 }, (_, i) => `${(i * 40503) % 256}`).join();
    const file = library(`${REGISTRATION}const unsigned char bytes[] = {${bytes}};`);
    const noise = new Uint32Array(4e6);
    for (let i = 0, x = 1; i < noise.length; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      noise[i] = x;
    }
    const large = Buffer.concat([file, Buffer.from(noise.buffer)]);
    expect(prebuildProblems(large, arch)).toEqual(["takes 16.0 MB packed, more than 15"]);
  });
});
