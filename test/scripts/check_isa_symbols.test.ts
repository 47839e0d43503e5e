import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const script = new URL("../../scripts/check_isa_symbols.mjs", import.meta.url).href;

describe("checkIsaSymbols", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "ddsc-symbols-"));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  /** Compiles `source` as a kernel of `instructionSet` and checks the folder it is built in. */
  function checkKernel(instructionSet: string, source: string) {
    const object = join(directory, "kernel.o");
    writeFileSync(join(directory, "kernel.cpp"), source);
    const compiler = spawnSync("c++", ["-std=c++20", "-c", join(directory, "kernel.cpp"), "-o", object], {
      encoding: "utf8",
    });
    expect(compiler.stderr).toBe("");
    writeFileSync(join(directory, `ddsc_kernels_${instructionSet}.objects`), `${object}\n`);
    const program = `import { checkIsaSymbols } from ${JSON.stringify(script)}; checkIsaSymbols(${JSON.stringify(directory)});`;
    return spawnSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  }

  const shared = "template <class T> [[gnu::noinline]] T twice(T x) { return x + x; }\n";

  it("names an inline function that an AVX2 object would share with generic code", () => {
    const check = checkKernel("avx2", `${shared}float use(float x) { return twice(x); }\n`);
    expect(check.stderr).toContain("avx2/kernel.o defines float twice<float>(float)");
    expect(check.status).toBe(1);
  });

  it("accepts inline functions in the instruction set's own namespace", () => {
    const source = `namespace ddsc::cpu::avx2 {\n${shared}float use(float x) { return twice(x); }\n}\n`;
    const check = checkKernel("avx2", source);
    expect(check.stderr).toBe("");
    expect(check.stdout).toContain("1 objects of kernels share no function");
    expect(check.status).toBe(0);
  });

  it("lets the baseline define what it likes", () => {
    const check = checkKernel("generic", `${shared}float use(float x) { return twice(x); }\n`);
    expect(check.status).toBe(0);
  });
});
