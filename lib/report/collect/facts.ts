import { formatDuration } from "../../base/duration.js";
import { withThousands } from "../../base/thousands.js";
import { packageVersion } from "../../base/version.js";
import type { SourceDescriptor } from "../../data/sources/descriptor.js";
import { describeMachine } from "../../diagnosis/machine.js";
import type { DataRecord } from "../../training/run_data.js";
import type { FactGroup } from "../report_data.js";
import type { ReportSubject } from "./subject.js";
import { clip, NAME_CHARACTERS } from "./texts.js";

/** Names that a list of facts shows, at most. */
const MOST_NAMES = 12;

type Facts = [string, string][];

/** Where the cells are from, what the model is, how it was trained, and where the report was made. */
export function factsOf(subject: ReportSubject, scored: Facts): readonly FactGroup[] {
  return [
    { title: "Data", facts: [...dataFacts(subject), ...scored] },
    { title: "Model", facts: modelFacts(subject) },
    { title: "Training", facts: trainingFacts(subject) },
    { title: "Machine and versions", facts: machineFacts(subject) },
  ];
}

function dataFacts({ record, cells }: ReportSubject): Facts {
  const facts: Facts = [];
  if (record !== undefined) {
    const { data } = record;
    facts.push(
      ["trained on", fileNames(data)],
      ["cells and genes", `${withThousands(data.cells)} cells, ${withThousands(data.genes)} genes`],
      ["fingerprint of names", data.digest.slice(0, 16)],
      ["only cells with", data.where === null ? "all" : clip(data.where)],
      ["held out", heldOut(data)],
    );
  }
  if ("missing" in cells) return facts;
  const { source, training } = cells.made;
  if (source !== training?.source) {
    facts.push([
      "this report is on",
      `${clip(source.name)}: ${withThousands(source.cellCount)} cells, ${withThousands(source.genes.length)} genes`,
    ]);
  }
  for (const note of source.notes.slice(0, MOST_NAMES)) facts.push(["note of the reader", clip(note)]);
  return facts;
}

function fileNames({ source, name }: DataRecord): string {
  const names = source === null ? [`${name} (in memory)`] : [...pathsOf(source)];
  const some = names.slice(0, MOST_NAMES).map((each) => clip(each));
  return [...some, ...(names.length > some.length ? [`and ${names.length - some.length} more`] : [])].join(
    ", ",
  );
}

function* pathsOf(source: SourceDescriptor): Generator<string> {
  switch (source.kind) {
    case "file":
    case "shared":
      yield source.path;
      return;
    case "files":
      yield* source.paths;
      return;
    case "concatenated":
      for (const each of source.sources) yield* pathsOf(each);
      return;
    case "subset":
      yield* pathsOf(source.source);
      return;
    case "simulated":
      yield "simulated cells";
      return;
    case "pool":
    case "memory":
      yield "cells in memory";
  }
}

function heldOut({ heldOut: rule }: DataRecord): string {
  if (rule === null) return "none";
  return rule.kind === "where"
    ? `those with ${clip(rule.where)}`
    : `each cell with chance ${rule.fraction}, by its name, its row and seed ${rule.seed}`;
}

function modelFacts({ model }: ReportSubject): Facts {
  const { config, tokenizer, vocabulary, conditions, diffusion, ofCounts } = model;
  const names = conditions.slice(0, MOST_NAMES).map(({ name, ...condition }) => {
    const labels = condition.kind === "labels" ? ` (${condition.labels.length} values)` : " (a number)";
    return `${clip(name, NAME_CHARACTERS)}${labels}`;
  });
  const facts: Facts = [
    [
      "values",
      ofCounts
        ? "counts of whole cells, zeros included"
        : `${tokenizer.strategy.values} ranks of expressed genes`,
    ],
    ["parameters", withThousands(model.parameterCount)],
    [
      "shape",
      `${config.blocks} blocks, ${config.hidden} wide, ${config.heads} heads, dropout ${config.dropout}`,
    ],
    ["genes that it knows", withThousands(vocabulary.geneCount)],
    ["genes that it sees of a cell", `${withThousands(tokenizer.maxLength)} at most`],
    ["conditions", names.length === 0 ? "none" : names.join(", ")],
    ["objective", `${diffusion.objective.kind}, ${diffusion.schedule.kind} schedule`],
    ["compute type and device", `${model.dtype} on ${clip(model.device)}`],
  ];
  return facts;
}

function trainingFacts({ record }: ReportSubject): Facts {
  if (record === undefined) return [["training", "the model does not know how it was trained"]];
  const { settings, schedule, steps, state } = record;
  const { limit, validation } = settings;
  return [
    ["steps", `${withThousands(state.step)}${steps === null ? "" : ` of ${withThousands(steps)}`}`],
    ["time in steps", `${formatDuration(state.seconds)}, ${withThousands(state.tokens)} tokens`],
    [
      "batch",
      limit.kind === "cells"
        ? `${withThousands(limit.cells)} cells`
        : `${withThousands(limit.tokens)} tokens`,
    ],
    [
      "learning rate",
      `${settings.learningRate}, ${schedule.kind} after ${withThousands(schedule.warmup)} steps of warm-up`,
    ],
    ["weight decay, clipping, average", `${settings.weightDecay}, ${settings.clip}, ${settings.ema}`],
    [
      "validation",
      validation === null ? "none" : `on ${withThousands(validation.cells)} held-out cells at most`,
    ],
    [
      "best validation",
      state.best === null
        ? "none"
        : `${state.best.nll.toFixed(5)} nats at step ${withThousands(state.best.step)}`,
    ],
    ["seed", String(settings.seed)],
  ];
}

function machineFacts({ folder }: ReportSubject): Facts {
  const machine = describeMachine();
  return [
    ...(folder === undefined ? [] : [["folder", clip(folder)] as [string, string]]),
    ["ddsc", packageVersion()],
    ["Node", machine.node],
    ["platform", [machine.platform, machine.kernel, machine.libc ?? ""].filter(Boolean).join(", ")],
    ["processor", `${clip(machine.processor)}, ${machine.processors} in use`],
    ["memory", `${(machine.memory.total / 2 ** 30).toFixed(1)} GiB, ${machine.memory.owner}`],
    ["driver of NVIDIA", clip(machine.nvidiaDriver ?? "none")],
    ...Object.entries(machine.variables).map(([name, value]): [string, string] => [clip(name), clip(value)]),
    ["remark", "this is where the report was made; a run does not record where it was trained"],
  ];
}
