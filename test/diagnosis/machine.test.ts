import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { describeMachine, explainBinary } from "../../lib/diagnosis/machine.js";

const here = `${process.platform}-${process.arch}`;
const root = mkdtempSync(join(tmpdir(), "ddsc-root-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("why a binary was chosen", () => {
  it("tells a build from a prebuilt binary, and what it hides", () => {
    const built = join(root, "build/Release/ddsc.node");
    expect(explainBinary(built, root)).toEqual({
      path: "build/Release/ddsc.node",
      kind: "built from source",
      reason: `there is no prebuilt binary for ${here}`,
    });
    mkdirSync(join(root, "prebuilds", here), { recursive: true });
    expect(explainBinary(built, root).reason).toBe("a build here goes before the prebuilt binary");
    expect(explainBinary(join(root, "prebuilds", here, "ddsc.glibc.node"), root)).toEqual({
      path: `prebuilds/${here}/ddsc.glibc.node`,
      kind: "prebuilt",
      reason: `it is the one for ${here}, and nothing was built here`,
    });
    expect(explainBinary("/elsewhere/ddsc.node", root)).toMatchObject({
      path: "/elsewhere/ddsc.node",
      kind: "elsewhere",
    });
  });
});

describe("the machine", () => {
  it.each(["DDSC_CLUSTER_SECRET", "DDSC_WATCH_TOKEN"])("does not show the value of %s", (name) => {
    const before = process.env[name];
    try {
      process.env[name] = "hunter2";
      expect(describeMachine().variables).toMatchObject({ [name]: "(not shown)" });
    } finally {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    }
  });

  it("names the variables that change what is used, and no others", () => {
    process.env.DDSC_ISA = "generic";
    try {
      const { variables, libc } = describeMachine();
      expect(variables).toMatchObject({ DDSC_ISA: "generic" });
      expect(Object.keys(variables)).not.toContain("HOME");
      if (process.platform === "linux") expect(libc).toMatch(/^glibc \d+\.\d+$|^musl$/);
    } finally {
      delete process.env.DDSC_ISA;
    }
  });
});
