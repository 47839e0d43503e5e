// Runs the package on Node 24, from npm's own package `node`: node scripts/test_node24.mjs. The binary is the one that is
// there, in build/Release or prebuilds/, and not built again: it is one for all versions of Node. Trains a few steps on
// simulated cells, requires and imports the package, and runs `ddsc doctor`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exit } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = mkdtempSync(join(tmpdir(), "ddsc-node24-"));

class Failure extends Error {}

/** Runs a command in the work folder; fails unless it ends with 0. Returns what it printed. */
function run(command, words) {
  const result = spawnSync(command, words, {
    cwd: work,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.status === 0) return result.stdout;
  const said = `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`;
  throw new Failure(`${command} ${words.join(" ")} ended with ${result.status ?? result.signal}\n${said}`);
}

/** As in a CommonJS project, on modules of which one is imported; `using` is known to this Node. */
const PROGRAM = `
const { Denoiser, GeneVocabulary, MemorySource, simulateCells, Trainer } = require("ddsc");
(async () => {
  const { DdscError } = await import("ddsc");
  using cells = new MemorySource(simulateCells({ cells: 40, genes: 20 }).cells);
  using model = await Denoiser.create({ preset: "nano", vocabulary: GeneVocabulary.from(cells) });
  let steps = 0;
  for await (const { loss } of new Trainer(model, { batchCells: 8 }).fit(cells, { steps: 3 })) steps += Number(loss > 0);
  const code = await Denoiser.load("nowhere").catch((error) => (error instanceof DdscError ? error.code : error));
  console.log(process.versions.node.split(".")[0], steps, code);
})();
`;

let code = 1;
try {
  if (!existsSync(join(root, "dist/index.js"))) throw new Failure("dist is missing: npm run build:ts");
  writeFileSync(join(work, "package.json"), "{}");
  run("npm", [
    "install",
    "--no-save",
    "--no-package-lock",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "node@24",
  ]);
  const node = join(work, "node_modules/node/bin/node");
  mkdirSync(join(work, "node_modules"), { recursive: true });
  symlinkSync(root, join(work, "node_modules/ddsc"));
  writeFileSync(join(work, "program.cjs"), PROGRAM);
  const printed = run(node, ["program.cjs"]);
  if (printed !== "24 3 CHECKPOINT_READ\n") throw new Failure(`the program printed ${printed}`);
  const doctor = run(node, ["node_modules/ddsc/dist/cli/main.js", "doctor"]);
  console.log(`node24: ${run(node, ["--version"]).trim()}: ${/^binary .*$/m.exec(doctor)?.[0]}`);
  console.log("node24: trains, is required and imported, and ddsc doctor finds nothing wrong");
  code = 0;
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`node24: ${error.message}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
exit(code);
