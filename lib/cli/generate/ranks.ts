import { DdscError } from "../../base/errors.js";
import { Purpose, RandomStream } from "../../base/random.js";
import { packageVersion } from "../../base/version.js";
import type { AnnDataStream, StreamedRows } from "../../data/anndata/write.js";
import { refuseOwnFiles } from "../../data/report/own_files.js";
import { partToWrite, pathOf, writePart } from "../../data/shards/part.js";
import type { CellSource } from "../../data/sources/source.js";
import { generatedNames } from "../../generation/index.js";
import type { Denoiser } from "../../model/denoiser.js";
import { modelDigest } from "../../model/digest.js";
import { generate as generateCells, type SamplingOptions } from "../../sampling/index.js";
import type { CommandContext, JsonResult } from "../shared/command.js";
import { findListedGenes, readGeneList } from "../shared/gene_list.js";
import { openData, openModel } from "../shared/open.js";
import { withThousands } from "../shared/output.js";
import { CellProgress } from "../shared/progress.js";
import { samplingCells, samplingOptions } from "../shared/sampling.js";
import { partIsThere, shardOf } from "../shared/shard.js";
import { UsageError } from "../shared/usage_error.js";
import type { OpenTogether } from "../shared/write_together.js";
import type { GenerateOptions } from "./options.js";

/** Cells without a count that are drawn in a row before giving up. */
const MOST_ATTEMPTS = 1000;

/** Draws cells that express the listed genes from a model of ranks, and writes them. */
export async function generateRanks(
  options: GenerateOptions,
  context: CommandContext,
  openTogether: OpenTogether,
): Promise<JsonResult> {
  const { output } = context;
  if (options.genes === undefined)
    throw new UsageError(
      `generate needs --genes <LIST|FILE>, as ${options.model} is a model of ranks, which does not know which genes are off`,
    );
  const batch = samplingCells(options, context);
  const listed = await readGeneList(options.genes);
  const shard = shardOf(options);
  using reference = await openTogether(async (peers) =>
    options.data === undefined ? undefined : openData(options.data, options, peers),
  );
  if (reference !== undefined) await refuseOwnFiles(reference, pathOf(options.out, shard));
  using model = await openModel(options, output);
  const { skipUnknown, cells: all, overwrite } = options;
  const { names: genes } = findListedGenes(listed, { vocabulary: model.vocabulary, skipUnknown, output });
  const sampling = samplingOptions(model, options, context);
  const { sampler, temperature, seed } = sampling;
  const uns = { ddsc: { package: packageVersion(), command: "generate", model: options.model } };
  const written = await partToWrite({
    out: options.out,
    shard,
    overwrite,
    cells: all,
    digest: () => modelDigest(model),
    source: reference,
    settings: {
      ...uns,
      data: reference?.name ?? null,
      asked: JSON.stringify([genes, sampler, temperature, seed]),
    },
  });
  const { out, first: firstCell, end: endCell, isThere } = written;
  const cells = endCell - firstCell;
  using progress = new CellProgress(output, cells);
  const contents: AnnDataStream = {
    obs: {
      length: cells,
      indexName: "_index",
      columns: new Map(),
      rows: (first, end) => ({
        index: generatedNames(firstCell + first, firstCell + end),
        columns: new Map(),
      }),
    },
    var: { index: genes, indexName: "_index", columns: new Map() },
    matrices: { X: { kind: "dense", type: "float32" }, "layers/rank": { kind: "dense", type: "int32" } },
    rows: generatedRows({
      model,
      genes,
      reference,
      firstCell,
      endCell,
      batch,
      sampling,
      progress,
    }),
    uns,
  };
  await writePart(written, contents, overwrite);
  progress.clear();
  output.line(
    isThere
      ? partIsThere(out)
      : `${out}: ${withThousands(cells)} cells x ${withThousands(genes.length)} genes`,
  );
  return { out, kept: isThere, cells, genes: genes.length };
}

interface Job {
  readonly model: Denoiser;
  readonly genes: readonly string[];
  /** Whose counts ranks are turned into. */
  readonly reference: CellSource | undefined;
  /** Which cells are drawn: their numbers name the random numbers, whichever shard has them. */
  readonly firstCell: number;
  readonly endCell: number;
  /** Cells drawn at a time. */
  readonly batch: number;
  readonly sampling: SamplingOptions;
  readonly progress: CellProgress;
}

async function* generatedRows(job: Job): AsyncGenerator<StreamedRows> {
  const { model, genes, reference, firstCell, endCell, batch, sampling, progress } = job;
  for (let first = firstCell; first < endCell; first += batch) {
    const { cells: drawn, ranks } = await generateCells(model, {
      ...sampling,
      genes,
      cells: Math.min(batch, endCell - first),
      firstCell: first,
    });
    const counts = reference === undefined ? Float32Array.from(ranks) : new Float32Array(ranks.length);
    for (let cell = 0; reference !== undefined && cell < drawn; cell++) {
      const own = ranks.subarray(cell * genes.length, (cell + 1) * genes.length);
      const like = await expressedCounts(reference, sampling.seed ?? 0, first + cell);
      counts.set(model.strategy.decode(own, like), cell * genes.length);
    }
    yield { X: counts, "layers/rank": ranks };
    progress.update(first + drawn - firstCell);
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
