import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nodeProgram } from "../node_program.js";
import { ROOT } from "./emulated.js";
import { gpuUnderTest } from "./gpu.js";

const program = await nodeProgram(join(ROOT, "scripts/parity.ts"));
const FIXTURES = join(ROOT, "test/fixtures");
const files = readdirSync(FIXTURES)
  .filter((name) => name.endsWith(".safetensors"))
  .map((name) => join(FIXTURES, name));

interface Report {
  readonly files: readonly {
    readonly device: string;
    readonly tensors: readonly { readonly name: string; readonly error: number; readonly passed: boolean }[];
  }[];
}

describe("every fixture of the reference is reproduced on the GPU", () => {
  it.each(["fp32", "bf16"])("in %s", (dtype) => {
    const words = [...program, ...files, "--dtype", dtype, "--device", "cuda", "--json"];
    const { stdout, stderr } = spawnSync(process.execPath, words, {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, ...gpuUnderTest() },
    });
    expect(stderr).toBe("");
    const report = JSON.parse(stdout) as Report;
    expect(report.files.flatMap(({ tensors }) => tensors.filter(({ passed }) => !passed))).toEqual([]);
    // But for the schedules, which are the host's.
    expect(report.files.filter(({ device }) => device.startsWith("cuda"))).toHaveLength(files.length - 1);
  });
});
