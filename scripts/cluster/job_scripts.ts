import { readFileSync } from "node:fs";
import { join } from "node:path";
import { require } from "./checks.js";
import { ROOT } from "./programs.js";

/** The script of docs/array_jobs.md, of so many tasks, with these paths and this program. */
export function arrayScript(job: {
  readonly shares: number;
  readonly ddsc: string;
  readonly model: string;
  readonly data: string;
  readonly out: string;
}): string {
  return documented("array_jobs.md", "--array=", [
    ["--array=1-100 --cpus-per-task=8", `--array=1-${job.shares}`],
    ["npx ddsc", job.ddsc],
    ["runs/a", job.model],
    ["atlas.h5ad", job.data],
    ["denoised.h5ad", job.out],
  ]);
}

/** The script of docs/cluster.md, of so many ranks of one processor. @param begin the options with which a run begins */
export function trainingScript(job: {
  readonly ranks: number;
  readonly ddsc: string;
  readonly begin: string;
  readonly out: string;
}): string {
  return documented("cluster.md", "--requeue", [
    ["--ntasks=8 --cpus-per-task=16 --time=12:00:00", `--ntasks=${job.ranks} --time=00:10:00`],
    ["npx ddsc", job.ddsc],
    ["run=runs/a", `run=${job.out}`],
    ["--data cells.h5ad --steps 100000", job.begin],
  ]);
}

/** The script of a page that says this, with what is written there replaced by what there is here. */
function documented(page: string, saying: string, changes: readonly (readonly [string, string])[]): string {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  const blocks = [...text.matchAll(/^```sh\n(#!.*?)^```/gms)].map(([, block = ""]) => block);
  const found = blocks.find((block) => block.includes(saying));
  require(found !== undefined, `docs/${page} has no script with ${saying}`);
  return changes.reduce((script, [from, to]) => {
    require(script.includes(from), `the script of docs/${page} does not say ${JSON.stringify(from)}`);
    return script.replaceAll(from, to);
  }, found);
}
