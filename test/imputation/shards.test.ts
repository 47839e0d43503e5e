import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Shard } from "../../lib/data/shards/shard.js";
import { embedFile, findParts, generateFile, imputeFile, joinParts } from "../../lib/index.js";
import type { Denoiser } from "../../lib/model/denoiser.js";
import { study, trainedModel } from "./support.js";

let folder: string;
let model: Denoiser;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-shards-"));
  model = await trainedModel();
});
afterAll(async () => {
  model[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

const JOBS: Readonly<
  Record<string, (out: string, shard: Shard | undefined) => Promise<{ readonly kept: boolean }>>
> = {
  imputeFile: (out, shard) =>
    imputeFile({
      model,
      data: study,
      out,
      // Not in the order of their names.
      layers: ["low", "denoised"],
      where: "cell_type != 'type-1'",
      ...(shard && { shard }),
    }),
  embedFile: (out, shard) => embedFile({ model, data: study, out, nll: true, ...(shard && { shard }) }),
  generateFile: (out, shard) =>
    generateFile({
      model,
      cells: 25,
      seed: 4,
      sampler: { kind: "parallel", steps: 3 },
      out,
      ...(shard && { shard }),
    }),
  "generateFile like others": (out, shard) =>
    generateFile({
      model,
      cells: 11,
      like: study,
      sampler: { kind: "parallel", steps: 3 },
      out,
      ...(shard && { shard }),
    }),
};

describe("parts of shards", () => {
  it.each(Object.keys(JOBS))(
    "of %s join to the bytes of the whole, and are kept where they are there",
    async (name) => {
      const run = JOBS[name]!;
      const whole = join(folder, `${name}-whole.h5ad`);
      const out = join(folder, `${name}.h5ad`);
      await run(whole, undefined);
      for (const index of [2, 1, 3]) expect((await run(out, { index, count: 3 })).kept).toBe(false);
      expect((await run(out, { index: 2, count: 3 })).kept).toBe(true);
      await joinParts(await findParts(out), out);
      expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
    },
  );

  it("of another model are not taken for those of this one", async () => {
    const out = join(folder, "model.h5ad");
    await embedFile({ model, data: study, out, shard: { index: 1, count: 2 } });
    using other = await trainedModel(false);
    const again = embedFile({ model: other, data: study, out, shard: { index: 1, count: 2 } });
    await expect(again).rejects.toThrow(expect.objectContaining({ code: "FILE_EXISTS" }));
    await embedFile({ model: other, data: study, out, shard: { index: 2, count: 2 } });
    const joined = joinParts(await findParts(out), out);
    await expect(joined).rejects.toThrow(expect.objectContaining({ code: "PARTS_DIFFER" }));
  });
});
