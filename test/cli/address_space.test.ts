import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { fixture } from "../data/support.js";
import { command } from "./program.js";

const FLAG = "--disable-wasm-trap-handler";
/** kB of addresses: what clusters set, and too few for what V8 reserves for WebAssembly. */
const LIMIT = 6_000_000;

/** Runs `ddsc inspect` on an .h5ad file under the limit. */
function inspect(options: string) {
  const words = command(["inspect", fixture("csr")]).map((word) => `'${word}'`);
  return spawnSync("bash", ["-c", `ulimit -v ${LIMIT} && '${process.execPath}' ${words.join(" ")}`], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: options },
  });
}

describe.skipIf(process.platform !== "linux")("an .h5ad file where addresses are limited", () => {
  it("is read without what V8 reserves for WebAssembly", () => {
    const { status, stdout } = inspect(FLAG);
    expect(stdout).toContain("6 cells x 5 genes");
    expect(status).toBe(0);
  });

  it("is read, or the error says which limit and what to do", () => {
    const { status, stdout, stderr } = inspect("");
    if ("execve" in process) expect(stdout).toContain("6 cells x 5 genes");
    else {
      expect(stderr).toMatch(
        /^ddsc: ADDRESS_SPACE_LIMIT: .*ulimit -v.*NODE_OPTIONS=--disable-wasm-trap-handler/,
      );
      expect(status).toBe(1);
    }
  });
});
