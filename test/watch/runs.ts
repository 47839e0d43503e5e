/** Folders that look like runs, for tests of what looks at them. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type RunStatus, STATUS_FILE } from "../../lib/training/run_status.js";

/** A line of metrics. */
export function line(step: number, more: object = {}): string {
  const loss = 1 + 1 / step;
  const speed = { seconds: 0.5, tokensPerSecond: 2000 };
  return `${JSON.stringify({ step, loss, gradientNorm: 0.1, learningRate: 1e-3, ...speed, epoch: 0, ...more })}\n`;
}

/** Lines of the steps from one to another, each tenth with a validation. */
export function lines(first: number, last: number): string {
  const steps = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return steps
    .map((step) =>
      line(step, step % 10 === 0 ? { validation: { nll: 2, crossEntropy: 1.5, accuracy: 0.1 } } : {}),
    )
    .join("");
}

export const status: RunStatus = {
  ...{ pid: 1, host: "elsewhere", begun: "2026-01-01T00:00:00.000Z", updated: "2026-01-01T00:00:01.000Z" },
  ...{ steps: 100, values: "counts", device: "cpu", parameters: 1000, end: "steps", error: null },
  data: { name: "cells.h5ad", cells: 5, genes: 7 },
  memory: { planned: 2 ** 20, held: 2 ** 30 },
  baselines: [{ name: "negative binomial at depth", crossEntropy: 1.75 }],
  notes: ["a note"],
};

/** Writes the folder of a run; its name may hold anything that a name of a folder can. */
export async function writeRun(
  folder: string,
  { metrics = lines(1, 20), ...changes }: Partial<RunStatus> & { readonly metrics?: string } = {},
): Promise<void> {
  await mkdir(join(folder, "step-20"), { recursive: true });
  await symlink("step-20", join(folder, "last")).catch(() => undefined);
  await writeFile(join(folder, "metrics.jsonl"), metrics);
  await writeStatus(folder, changes);
}

/** Writes its status anew. */
export async function writeStatus(folder: string, changes: Partial<RunStatus> = {}): Promise<void> {
  const json = { format: "ddsc-status", version: 1, ...status, ...changes };
  await writeFile(join(folder, STATUS_FILE), JSON.stringify(json));
}
