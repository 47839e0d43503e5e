import { DdscError } from "../base/errors.js";
import { Purpose, RandomStream } from "../base/random.js";
import { type AnnDataStream, type StreamedRows, writeAnnData } from "../data/anndata/write.js";
import { refuseOwnFiles } from "../data/report/own_files.js";
import type { Frame } from "../data/sources/frame.js";
import type { CellSource } from "../data/sources/source.js";
import type { Denoiser } from "../model/denoiser.js";
import { packageVersion } from "../model/version.js";
import { generate as generateCells, type SamplingOptions } from "../sampling/index.js";
import { defineCommand } from "./command.js";
import { findListedGenes, readGeneList } from "./gene_list.js";
import { DATA_OPTIONS, MODEL_OPTIONS, openData, openModel } from "./open.js";
import { checkOutEnding, checkOutFile } from "./out_path.js";
import { withThousands } from "./output.js";
import { CellProgress } from "./progress.js";
import { SAMPLING_OPTIONS, samplingCells, samplingOptions } from "./sampling.js";

/** Cells without a count that are drawn in a row before giving up. */
const MOST_ATTEMPTS = 1000;

/** `ddsc generate`: cells from nothing but a gene list. */
export const generate = defineCommand({
  name: "generate",
  summary: "draw new cells that express the given genes",
  details: `Writes AnnData of cells x genes, to NAME.h5ad or NAME.zarr, with
  layers/rank  ranks, 0 the lowest
  X            with --data, the counts that the ranks have in a cell of that file drawn at random; otherwise the ranks

Example: ddsc generate --model runs/a --genes Sox2,Pax6,Actb --cells 500 --out new.h5ad`,
  options: [
    "out",
    "genes",
    "skipUnknown",
    "cells",
    "data",
    ...MODEL_OPTIONS,
    ...DATA_OPTIONS,
    ...SAMPLING_OPTIONS,
    "overwrite",
  ],
  required: ["model", "genes", "out"],
  texts: {
    out: { help: "what to write: NAME.h5ad or NAME.zarr" },
    samplingSteps: { defaultText: "32; first-hitting: as many as there are masked ranks, which is exact" },
  },
  run: async (options, context) => {
    const { output } = context;
    const batch = samplingCells(options, context);
    const listed = await readGeneList(options.genes);
    checkOutEnding(options.out, "NAME.h5ad or NAME.zarr");
    await checkOutFile(options.out, options.overwrite);
    using reference = options.data === undefined ? undefined : await openData(options.data, options);
    if (reference !== undefined) await refuseOwnFiles(reference, options.out);
    using model = await openModel(options, output);
    const { skipUnknown } = options;
    const { names: genes } = findListedGenes(listed, { vocabulary: model.vocabulary, skipUnknown, output });
    using progress = new CellProgress(output, options.cells);
    const contents: AnnDataStream = {
      obs: named(Array.from({ length: options.cells }, (_, cell) => `generated-${cell}`)),
      var: named(genes),
      matrices: { X: { kind: "dense", type: "float32" }, "layers/rank": { kind: "dense", type: "int32" } },
      rows: generatedRows({
        model,
        genes,
        reference,
        cells: options.cells,
        batch,
        sampling: samplingOptions(model, options, context),
        progress,
      }),
      uns: { ddsc: { package: packageVersion(), command: "generate", model: options.model } },
    };
    await writeAnnData(options.out, contents, { overwrite: options.overwrite });
    progress.clear();
    output.line(
      `${options.out}: ${withThousands(options.cells)} cells x ${withThousands(genes.length)} genes`,
    );
    return { out: options.out, cells: options.cells, genes: genes.length };
  },
});

/** A table of names alone. */
function named(index: readonly string[]): Frame {
  return { index, indexName: "_index", columns: new Map() };
}

interface Job {
  readonly model: Denoiser;
  readonly genes: readonly string[];
  /** Whose counts ranks are turned into. */
  readonly reference: CellSource | undefined;
  readonly cells: number;
  /** Cells drawn at a time. */
  readonly batch: number;
  readonly sampling: SamplingOptions;
  readonly progress: CellProgress;
}

async function* generatedRows(job: Job): AsyncGenerator<StreamedRows> {
  const { model, genes, reference, cells, batch, sampling, progress } = job;
  for (let first = 0; first < cells; first += batch) {
    const { cells: drawn, ranks } = await generateCells(model, {
      ...sampling,
      genes,
      cells: Math.min(batch, cells - first),
      firstCell: first,
    });
    const counts = reference === undefined ? Float32Array.from(ranks) : new Float32Array(ranks.length);
    for (let cell = 0; reference !== undefined && cell < drawn; cell++) {
      const own = ranks.subarray(cell * genes.length, (cell + 1) * genes.length);
      const like = await expressedCounts(reference, sampling.seed ?? 0, first + cell);
      counts.set(model.strategy.decode(own, like), cell * genes.length);
    }
    yield { X: counts, "layers/rank": ranks };
    progress.update(first + drawn);
  }
}

/** Counts of a cell drawn at random among those that have any. Throws `DATA_NO_CELLS` after too many without. */
async function expressedCounts(source: CellSource, seed: number, cell: number): Promise<Float32Array> {
  const random = new RandomStream(seed, Purpose.simulate, 0, cell);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const { counts } = await source.read(Int32Array.of(random.below(source.cellCount)));
    if (counts.length > 0) return counts;
  }
  throw new DdscError(
    "DATA_NO_CELLS",
    `${source.name}: hardly any cell has a count; pass other counts with --data`,
    {
      file: source.name,
    },
  );
}
