import { env } from "node:process";
import { alone } from "../cluster/cluster.js";
import { joinCluster } from "../cluster/join.js";
import { readLaunch } from "../cluster/launch.js";
import { isConnected } from "../cluster/transports.js";
import { anndataFormat } from "../data/anndata/endings.js";
import { findParts, joinParts } from "../data/shards/index.js";
import { defineCommand } from "./shared/command.js";
import { checkOutEnding, checkOutFile } from "./shared/out_path.js";
import { CellProgress } from "./shared/progress.js";
import { workTogether } from "./shared/together.js";
import { describeJoined } from "./shared/write_together.js";

/** `ddsc merge`: joins the parts that shards wrote. */
export const merge = defineCommand({
  name: "merge",
  summary: "join the parts that --shard wrote to the file that one process would have written",
  details: `Without names it takes the parts that lie beside --out: out.part-001-of-100.h5ad and so on. It checks that they are parts of
the same work, each there once, and names those that are missing. The parts stay. Of zarr stores, chunks that are the whole's are
linked, and started by mpirun or srun processes share the others.

Example: ddsc merge --out denoised.h5ad`,
  files: [{ name: "parts", help: "the parts, separated by commas", isOptional: true }],
  options: ["out", "overwrite"],
  required: ["out"],
  texts: { out: { help: "what to write: NAME.h5ad or NAME.zarr" } },
  run: async ({ out, overwrite, files }, { output, signal }) => {
    checkOutEnding(out, "NAME.h5ad or NAME.zarr");
    await checkOutFile(out, overwrite);
    const parts = files[0]?.split(",").filter((path) => path !== "") ?? (await findParts(out));
    const cluster =
      anndataFormat(out) === "zarr" && isConnected(readLaunch(env)) ? await joinCluster() : alone;
    const joined = await workTogether(
      { out, overwrite, parts },
      output,
      cluster,
      "join one store",
      async () => {
        using progress = new CellProgress(output, 0);
        const onProgress = (cells: number, of: number) => progress.update(cells, of);
        return await joinParts(parts, out, { overwrite, signal, onProgress, cluster });
      },
    );
    output.line(describeJoined(joined));
    return { ...joined };
  },
});
