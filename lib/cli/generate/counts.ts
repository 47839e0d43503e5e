import { generateFile } from "../../generation/index.js";
import type { Denoiser } from "../../model/denoiser.js";
import { COUNT_SAMPLER_KINDS, type CountSamplerConfig } from "../../sampling/index.js";
import { type CommandContext, checkExclusive, type JsonResult } from "../shared/command.js";
import { findListedGenes, readGeneList } from "../shared/gene_list.js";
import { openData, openModel } from "../shared/open.js";
import { type Output, withThousands } from "../shared/output.js";
import { CellProgress } from "../shared/progress.js";
import { partIsThere, shardOf } from "../shared/shard.js";
import { UsageError } from "../shared/usage_error.js";
import type { OpenTogether } from "../shared/write_together.js";
import type { GenerateOptions } from "./options.js";

/** Draws whole cells from a model of counts, and writes them. */
export async function generateCounts(
  options: GenerateOptions,
  context: CommandContext,
  openTogether: OpenTogether,
): Promise<JsonResult> {
  const { output, signal, given } = context;
  for (const name of ["set", "depth", "genes"] as const) checkExclusive(context, "like", name);
  const sampler = samplerOf(options, context);
  const conditions = options.set === undefined ? undefined : conditionsFrom(options.set);
  const listed = options.genes === undefined ? undefined : await readGeneList(options.genes);
  const shard = shardOf(options);
  using like = await openTogether(async (peers) =>
    options.like === undefined ? undefined : openData(options.like, options, peers),
  );
  using model = await openModel(options, output);
  const {
    skipUnknown,
    depth,
    guidance,
    guidanceRamp,
    evidenceGuidance,
    seed,
    batch,
    batchTokens,
    out,
    overwrite,
  } = options;
  noteDepth(depth, model, output);
  const genes = listed && findListedGenes(listed, { vocabulary: model.vocabulary, skipUnknown, output }).ids;
  using progress = new CellProgress(output, options.cells);
  const made = await generateFile({
    model,
    modelName: options.model,
    out,
    ...(shard === undefined ? {} : { shard }),
    overwrite,
    sampler,
    guidance: guidanceRamp ? { gamma: guidance, ramp: "linear" } : guidance,
    evidenceGuidance,
    seed,
    signal,
    onProgress: (cells, of) => progress.update(cells, of),
    ...(like === undefined ? {} : { like }),
    ...(like !== undefined && !given("cells") ? {} : { cells: options.cells }),
    ...(conditions === undefined ? {} : { conditions }),
    ...(depth === undefined ? {} : { depth }),
    ...(genes === undefined ? {} : { genes }),
    ...(batch === undefined ? {} : { batch }),
    ...(batchTokens === undefined ? {} : { maxRows: batchTokens }),
  });
  progress.clear();
  if (made.kept) {
    output.line(partIsThere(made.out));
    return { ...made, zeroFraction: null, meanTotal: null };
  }
  output.line(
    `${made.out}: ${withThousands(made.cells)} cells x ${withThousands(made.genes)} genes, ${(100 * made.zeroFraction).toFixed(1)}% zeros, ` +
      `${made.meanTotal.toFixed(0)} counts a cell`,
  );
  return { ...made };
}

/** Says where a depth is asked for that is far from all that the model has seen. */
function noteDepth(depth: number | undefined, { depths }: Denoiser, output: Output): void {
  if (depth === undefined || depths === undefined || depths.depth.length === 0) return;
  const seen = depths.depth.slice().sort();
  const [low, high] = [seen[0] ?? 0, seen.at(-1) ?? 0].map(Math.round) as [number, number];
  if (depth >= low / 2 && depth <= 2 * high) return;
  output.note(
    `--depth ${withThousands(depth)} is far from the training cells' totals, ${withThousands(low)} to ${withThousands(high)}: what the model says of such cells it has not learnt`,
  );
}

const DEFAULT_STEPS = 64;

function samplerOf(
  { sampler, samplingSteps, eta }: GenerateOptions,
  { given }: CommandContext,
): CountSamplerConfig {
  const kind = given("sampler") ? COUNT_SAMPLER_KINDS.find((one) => one === sampler) : "parallel";
  if (kind === undefined) {
    throw new UsageError(
      `expected one of ${COUNT_SAMPLER_KINDS.join(", ")} for --sampler of a model of counts but received "${sampler}"`,
    );
  }
  if (given("eta") && kind !== "remasking")
    throw new UsageError("--eta is for --sampler remasking; leave it out");
  if (kind === "first-hitting") return given("samplingSteps") ? { kind, steps: samplingSteps } : { kind };
  const steps = given("samplingSteps") ? samplingSteps : DEFAULT_STEPS;
  return kind === "remasking" ? { kind, steps, eta } : { kind, steps };
}

/** NAME=VALUE,NAME=VALUE: a comma that no name and "=" follow belongs to the value. */
function conditionsFrom(text: string): Record<string, string | null> {
  const entries = text.split(/,(?=[^,=]+=)/).map((part): [string, string | null] => {
    const equals = part.indexOf("=");
    const name = part.slice(0, equals).trim();
    if (equals < 0 || name === "") {
      throw new UsageError(
        `expected NAME=VALUE for --set but received "${part}", such as cell_type="B cells"`,
      );
    }
    const value = part.slice(equals + 1).trim();
    return [name, value === "" ? null : value];
  });
  const twice = entries.find(([name], i) => entries.findIndex(([other]) => other === name) < i);
  if (twice !== undefined) throw new UsageError(`--set gives ${twice[0]} twice; give it once`);
  return Object.fromEntries(entries);
}
