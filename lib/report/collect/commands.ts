import { isDeepStrictEqual } from "node:util";
import type { SourceDescriptor } from "../../data/sources/descriptor.js";
import { presets } from "../../model/config.js";
import type { ReportSubject } from "./subject.js";
import { clip } from "./texts.js";

/** A word of a command as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Characters of a command that are shown, at most. */
const MOST_CHARACTERS = 4000;

/** Commands that train such a run again and report on it; a sentence in place of one that cannot be told. */
export function commandsOf(subject: ReportSubject): readonly string[] {
  const { folder, name, commands } = subject;
  if (commands !== undefined) return commands;
  const again = folder === undefined ? [] : [line(["report", folder])];
  return [trainCommand(subject, name), ...again];
}

function trainCommand({ record, model }: ReportSubject, name: string): string {
  if (record === undefined) return "The model does not know how it was trained.";
  const files = filesOf(record.data.source);
  if (files === undefined) return "The run was trained on cells in memory, which no command can name.";
  const { settings, schedule, steps } = record;
  const { config, tokenizer, diffusion, conditions, ofCounts } = model;
  const { validation, limit, queries } = settings;
  const preset = Object.entries(presets).find(
    ([, shape]) =>
      shape.hidden === config.hidden && shape.blocks === config.blocks && shape.heads === config.heads,
  );
  if (preset === undefined) return "The model has a shape of its own, which no preset of the command has.";
  const words: string[] = [
    ...option("--data", files.paths),
    ...option("--out", `${name}-again`),
    ...(ofCounts ? [] : option("--values", "ranks")),
    ...(conditions.length === 0
      ? []
      : option(
          "--condition",
          conditions
            .map((each) => (each.kind === "number" && each.scale === "log" ? `${each.name}:log` : each.name))
            .join(","),
        )),
    ...option("--preset", preset[0]),
    ...option("--dropout", config.dropout),
    ...option("--max-length", tokenizer.maxLength),
    ...(tokenizer.minGenes === 1 ? [] : option("--min-genes", tokenizer.minGenes)),
    ...(tokenizer.includeUnexpressed ? ["--include-unexpressed"] : []),
    ...option("--steps", steps ?? record.state.step),
    ...(limit.kind === "cells" ? option("--batch", limit.cells) : option("--batch-tokens", limit.tokens)),
    ...(settings.lanes === 1 ? [] : option("--lanes", settings.lanes)),
    ...(settings.accumulation === 1 ? [] : option("--accumulate", settings.accumulation)),
    ...option("--learning-rate", settings.learningRate),
    ...option("--learning-rate-schedule", schedule.kind),
    ...option("--warmup", schedule.warmup),
    ...option("--weight-decay", settings.weightDecay),
    ...option("--clip", settings.clip),
    ...option("--ema", settings.ema),
    ...option("--patience", settings.patience),
    ...(queries === null
      ? []
      : [
          ...option("--zeros", queries.zeros),
          ...(queries.expressed === null ? [] : option("--expressed", queries.expressed)),
          ...option("--thinning", queries.thinning),
          ...option("--mostly-hidden", queries.mostlyHidden),
          ...option("--condition-drop", queries.conditionDrop),
        ]),
    ...(validation === null
      ? option("--validation", 0)
      : [
          ...(validation.where === null
            ? option("--validation", validation.fraction)
            : option("--holdout", validation.where)),
          ...option("--validation-cells", validation.cells),
          ...(validation.every === null ? [] : option("--validate-every", validation.every)),
        ]),
    ...(settings.where === null ? [] : option("--where", settings.where)),
    ...(settings.allowFractional ? ["--allow-fractional"] : []),
    ...option("--seed", settings.seed),
    ...option("--dtype", model.dtype),
    ...files.options,
  ];
  if (!ofCounts) {
    const { objective, schedule: noise } = diffusion;
    words.push(...option("--objective", objective.kind), ...option("--noise-schedule", noise.kind));
    if (objective.kind === "d3pm") words.push(...option("--diffusion-steps", objective.steps));
    if (diffusion.meanMatching > 0) words.push(...option("--mean-matching", diffusion.meanMatching));
    if (config.timeConditioning) words.push("--time-conditioning");
    if (!diffusion.antithetic) words.push(...option("--time-sampling", "independent"));
    if (diffusion.importanceSampling) words.push("--importance-sampling");
    if (diffusion.changeOfVariables) words.push("--change-of-variables");
  }
  return line(["train", ...words]);
}

function option(flag: string, value: string | number): string[] {
  return [flag, String(value)];
}

function line(words: readonly string[]): string {
  return clip(["ddsc", ...words.map(quoted)].join(" "), MOST_CHARACTERS);
}

/** Paths of the data as `--data` takes them, and the options that files were opened with; undefined for cells in memory. */
function filesOf(
  source: SourceDescriptor | null,
): { readonly paths: string; readonly options: readonly string[] } | undefined {
  if (source === null) return undefined;
  if (source.kind === "concatenated") {
    const parts = source.sources.map(filesOf);
    const [first] = parts;
    if (first === undefined || parts.some((part) => !isDeepStrictEqual(part?.options, first.options)))
      return undefined;
    return { ...first, paths: parts.map((part) => part?.paths ?? "").join(",") };
  }
  if (source.kind !== "file" && source.kind !== "files" && source.kind !== "shared") return undefined;
  const { layer, raw, geneTable, geneColumn, genome, transpose, metadataColumns } = source.options;
  return {
    paths: source.kind === "files" ? source.paths.join(",") : source.path,
    options: [
      ...(layer === undefined ? [] : option("--layer", layer)),
      ...(raw === true ? ["--raw"] : []),
      ...(geneTable === undefined ? [] : option("--gene-table", geneTable)),
      ...(geneColumn === undefined ? [] : option("--gene-column", geneColumn)),
      ...(genome === undefined ? [] : option("--genome", genome)),
      ...(transpose === true ? ["--transpose"] : []),
      ...(metadataColumns === undefined ? [] : option("--metadata-columns", metadataColumns.join(","))),
    ],
  };
}
