import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { arrayScript, trainingScript } from "../../scripts/cluster/job_scripts.js";
import { lossesOf, requireClose } from "../../scripts/cluster/small_runs.js";

describe("the checks under a real Slurm", () => {
  it("run the scripts that the documentation shows, with nothing of its examples left", () => {
    const training = trainingScript({
      ranks: 2,
      ddsc: "/d/ddsc",
      begin: "--data /d/c --steps 60",
      out: "/d/run",
    });
    const array = arrayScript({ shares: 4, ddsc: "/d/ddsc", model: "/d/m", data: "/d/c", out: "/d/out" });
    for (const script of [training, array]) {
      expect(script).toMatch(/^#!\/bin\/bash\n#SBATCH /);
      expect(script).not.toMatch(/npx|runs\/a|\b(cells|atlas|denoised)\.h5ad/);
    }
    expect(training).toContain("srun --mpi=pmix /d/ddsc train");
    expect(array).toContain("/d/out --shard auto");
  });
});

describe("losses of a checked run", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ddsc-checks-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const write = (steps: readonly number[], rest = "") => {
    const lines = steps.map((step) => `${JSON.stringify({ step, loss: step / 10 })}\n`);
    return writeFile(join(folder, "metrics.jsonl"), lines.join("") + rest);
  };

  it("are those of every step, once", async () => {
    await write([1, 2, 3], '{"step":4,"lo');
    expect(lossesOf(folder, 3)).toEqual([0.1, 0.2, 0.3]);
    await write([1, 3]);
    expect(() => lossesOf(folder, 3)).toThrow("has the steps 1,3, not 1,2,3");
    await write([1, 2, 2, 3]);
    expect(() => lossesOf(folder, 3)).toThrow("has the steps 1,2,2,3, not 1,2,3");
  });

  it("may differ by rounding, and by nothing else", () => {
    expect(requireClose([2, 1.00001], [2, 1])).toBeCloseTo(1e-5, 8);
    expect(() => requireClose([2, 1.001], [2, 1])).toThrow("losses differ by 1.0e-3");
    expect(() => requireClose([2, 1], [2])).toThrow("losses differ");
  });
});
