import { findParts, joinParts } from "../data/shards/index.js";
import { defineCommand } from "./shared/command.js";
import { checkOutEnding, checkOutFile } from "./shared/out_path.js";
import { withThousands } from "./shared/output.js";
import { CellProgress } from "./shared/progress.js";

/** `ddsc merge`: joins the parts that shards wrote. */
export const merge = defineCommand({
  name: "merge",
  summary: "join the parts that --shard wrote to the file that one process would have written",
  details: `Without names it takes the parts that lie beside --out: out.part-001-of-100.h5ad and so on. It checks that they are parts of
the same work, each there once, and names those that are missing. The parts stay.

Example: ddsc merge --out denoised.h5ad`,
  files: [{ name: "parts", help: "the parts, separated by commas", isOptional: true }],
  options: ["out", "overwrite"],
  required: ["out"],
  texts: { out: { help: "what to write: NAME.h5ad or NAME.zarr" } },
  run: async ({ out, overwrite, files }, { output, signal }) => {
    checkOutEnding(out, "NAME.h5ad or NAME.zarr");
    await checkOutFile(out, overwrite);
    const parts = files[0]?.split(",").filter((path) => path !== "") ?? (await findParts(out));
    using progress = new CellProgress(output, 0);
    const joined = await joinParts(parts, out, {
      overwrite,
      signal,
      onProgress: (cells, of) => progress.update(cells, of),
    });
    progress.clear();
    output.line(
      `${out}: ${withThousands(joined.cells)} cells x ${withThousands(joined.genes)} genes of ${withThousands(joined.parts)} parts`,
    );
    return { ...joined };
  },
});
