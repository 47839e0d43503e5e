import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { readStatus, type StatusBaseline, StatusFile } from "./run_status.js";

/**
 * The file that tells other processes of a training in a run's folder. A run that goes on (`step` above 0) keeps what its validations are
 * compared with.
 *
 * @param options.planned bytes that the training is to hold at most
 */
export async function beginStatus(
  folder: string,
  model: Pick<Denoiser, "device" | "parameterCount" | "ofCounts">,
  source: Pick<CellSource, "name" | "cellCount" | "genes">,
  options: {
    readonly step: number;
    readonly steps: number | null;
    readonly planned: number;
    readonly notes: readonly string[];
  },
): Promise<StatusFile> {
  const { device, parameterCount, ofCounts } = model;
  const { step, steps, planned, notes } = options;
  const earlier = step === 0 ? undefined : await readStatus(folder);
  return new StatusFile(folder, {
    steps,
    values: ofCounts ? "counts" : "ranks",
    device,
    parameters: parameterCount,
    data: { name: source.name, cells: source.cellCount, genes: source.genes.length },
    planned,
    baselines: earlier?.baselines ?? [],
    notes,
  });
}

/** What validations of a run are compared with, where it was measured; `goesOn`: its model was trained before. */
export function baselinesOf(loss: number | undefined, ofCounts: boolean, goesOn: boolean): StatusBaseline[] {
  if (loss === undefined) return [];
  const ofNewCounts = goesOn ? "before the first step" : "negative binomial at depth";
  return [{ name: ofCounts ? ofNewCounts : "gene marginal", crossEntropy: loss }];
}
