/**
 * Begins or resumes the run in the folder given, with the steps given, of ranks or of counts, as a user's program would; prints each step so
 * that a test can kill it in between. Run by kill.test.ts.
 */
import { join } from "node:path";
import { exists } from "../../lib/model/model_files.js";
import { Trainer } from "../../lib/training/trainer.js";
import { smallCountModel } from "./small_counts.js";
import { smallModel, smallOptions, smallSource } from "./small_run.js";

const [folder = "", steps = "", values = "ranks"] = process.argv.slice(2);
const made = values === "counts" ? smallCountModel : smallModel;
const trainer = (await exists(join(folder, "last")))
  ? await Trainer.resume(folder)
  : new Trainer(await made(), { ...smallOptions, folder, worker: true });
process.stdout.write("begun\n");
for await (const { step } of trainer.fit(smallSource(), { steps: Number(steps) }))
  process.stdout.write(`${step}\n`);
process.stdout.write("done\n");
