import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nativeDevices } from "../../lib/native/devices.js";
import { nodeProgram } from "../node_program.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FIXTURES = join(ROOT, "test/fixtures");
const files = readdirSync(FIXTURES)
  .filter((name) => name.endsWith(".safetensors") || name === "ranks.json")
  .map((name) => join(FIXTURES, name));

const program = await nodeProgram(join(ROOT, "scripts/parity.ts"));

/** Runs `npm run parity -- ...` without npm. */
function parity(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, [...program, ...words], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
}

interface Report {
  readonly passed: boolean;
  readonly files: readonly {
    readonly file: string;
    readonly device: string;
    readonly tensors: readonly { readonly name: string; readonly error: number; readonly passed: boolean }[];
  }[];
}

/** Tensors past their tolerance, in words. */
function failures(report: Report): string[] {
  return report.files.flatMap(({ file, tensors }) =>
    tensors.filter(({ passed }) => !passed).map(({ name, error }) => `${file} ${name}: ${error}`),
  );
}

const instructionSets = nativeDevices().flatMap((device) =>
  device.kind === "cpu" ? device.instructionSets : [],
);

describe("every fixture of the reference is reproduced", () => {
  it.each(instructionSets.flatMap((isa) => [[isa, "fp32"] as const, [isa, "bf16"] as const]))(
    "with %s in %s",
    (isa, dtype) => {
      const { stdout, stderr, status } = parity([...files, "--dtype", dtype, "--json"], { DDSC_ISA: isa });
      expect(stderr).toBe("");
      const report = JSON.parse(stdout) as Report;
      expect(failures(report)).toEqual([]);
      expect({ status, passed: report.passed }).toEqual({ status: 0, passed: true });
      expect(report.files.map(({ file }) => file)).toEqual(files);
      expect(report.files.map(({ device }) => device).join(" ")).toContain(isa);
    },
  );
});

describe("npm run parity", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ddsc-parity-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("prints a table and exits with 1 when a tensor is past its tolerance", () => {
    const file = join(folder, "changed.safetensors");
    const bytes = readFileSync(join(FIXTURES, "schedules.safetensors"));
    // The last tensor's last value: 8 bytes of length, the header, then the data up to the end of the file.
    bytes.writeFloatLE(bytes.readFloatLE(bytes.length - 4) * 1.01 + 0.01, bytes.length - 4);
    writeFileSync(file, bytes);
    const { status, stdout } = parity([file]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/FAILED/);
    expect(stdout).toMatch(/relative error +tolerance/);
  });

  it.each([
    ["garbage", "not tensors", "CHECKPOINT_CORRUPT"],
    ["json", "{}", "PARITY_FORMAT"],
  ])("says in one line that a file is no fixture: %s", (name, text, code) => {
    const file = join(folder, name === "json" ? "x.json" : "x.safetensors");
    writeFileSync(file, text);
    const { status, stderr } = parity([file]);
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`^parity: ${code}: [^\\n]*\\n$`));
  });

  it("explains itself and exits with 2 without files and for an unknown option", () => {
    for (const words of [[], ["--frobnicate"], ["x.safetensors", "--dtype", "fp16"]]) {
      const { status, stderr } = parity(words);
      expect(status).toBe(2);
      expect(stderr).toContain("usage: npm run parity");
    }
  });
});
