import { describe, expect, it } from "vitest";
import { checkParity } from "../../lib/diagnosis/self_test.js";
import { nativeDevices } from "../../lib/native/devices.js";
import { ddsc, ended, start } from "../cli/program.js";

describe("the self-test", () => {
  it("finds that this machine computes what was recorded, in both types", async () => {
    for (const dtype of ["fp32", "bf16"] as const) {
      const { difference, agrees, losses } = await checkParity({ device: "cpu", dtype });
      expect(losses).toHaveLength(6);
      expect([dtype, agrees, difference]).toEqual([dtype, true, difference]);
    }
  });

  it("finds what is not: a loss that is off by a part in ten thousand", async () => {
    const { losses } = await checkParity({ device: "cpu", dtype: "fp32" });
    for (const off of losses.keys()) {
      const expected = losses.map((loss, step) => (step === off ? loss * 1.0001 : loss));
      expect((await checkParity({ device: "cpu", dtype: "fp32" }, expected)).agrees).toBe(false);
    }
  });
});

describe("ddsc doctor", () => {
  it("says what a bug report needs, and that all is well", async () => {
    const { code, stdout, stderr, json } = await ddsc("doctor", "--json");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ddsc \d+\.\d+\.\d+, Node v\d+/);
    expect(stdout).toMatch(/\nbinary {3}(build|prebuilds)\/.*\(.*: .*\)\n/);
    const sets = nativeDevices().flatMap((device) => (device.kind === "cpu" ? device.instructionSets : []));
    expect(stdout).toContain(`: ${sets.join(", ")}`);
    expect(stdout).toMatch(/\ncpu: fp32 agrees \(.*\)\ncpu: bf16 agrees \(.*\)\ncpu: [\d,]+ tokens\/s /);
    expect(stdout).toContain("\nall is well\n");
    expect(json()).toMatchObject({
      machine: { node: process.version, platform: `${process.platform}-${process.arch}` },
      problems: [],
      tests: [{ device: "cpu", parity: [{ agrees: true }, { agrees: true }] }],
    });
  });

  it("describes an installation without a binary, and fails", async () => {
    const child = start(["doctor", "--json"], { DDSC_PREBUILD: "/nowhere" });
    const { code, stdout, json } = await ended(child);
    expect(code).toBe(1);
    expect(stdout).toMatch(/\nset {6}.*DDSC_PREBUILD=\/nowhere/);
    expect(stdout).toMatch(/\nproblem {2}NATIVE_LOAD: /);
    expect(json()).toMatchObject({ problems: [expect.stringMatching(/^NATIVE_LOAD/)] });
  });
});
