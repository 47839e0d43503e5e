/** The README.md of a published model: what it is, how to use it, what it scored. */
import type { JsonObject } from "../base/json.js";
import { printable } from "../base/printable.js";
import { withThousands } from "../base/thousands.js";
import type { Condition } from "../conditions/condition.js";
import type { ModelDescription } from "../model/model_files.js";
import { escaped, tableOf } from "./markdown.js";
import { scoreLines } from "./score_tables.js";
import { namesOnly, type Provenance } from "./training_record.js";

/** What a card is written from. */
export interface CardInput {
  /** The model's name: that of its folder. */
  readonly name: string;
  readonly description: ModelDescription;
  /** Number of weights. */
  readonly parameters: number;
  readonly weights: "ema" | "weights";
  readonly evaluation: JsonObject | undefined;
  readonly provenance: Provenance | undefined;
  /** The package that writes it, with its version. */
  readonly version: string;
}

/** Labels of a condition that are named. */
const LABELS = 20;
/** Files of training data that are named. */
const FILES = 10;

/** The card, Markdown with YAML before it. The licence is left to who publishes the model. */
export function modelCard(input: CardInput): string {
  const { name, evaluation, weights } = input;
  const kind = input.description.config.counts === undefined ? "ranks" : "counts";
  const lines = [
    "---",
    "library_name: ddsc",
    "# Choose a licence before you publish it: license: ...",
    "tags:",
    ...["single-cell", "gene-expression", "scrna-seq", "masked-diffusion", "ddsc"].map((tag) => `  - ${tag}`),
    "---",
    "",
    `# ${escaped(name)}`,
    "",
    kind === "counts"
      ? "A masked discrete diffusion model of whole cells in counts, zeros included: it gives the distribution of hidden genes' counts from the visible ones."
      : "A masked discrete diffusion model of the ranks of a cell's expressed genes: it gives the distribution of hidden ranks from the visible ones.",
    "",
    ...shapeLines(input, kind),
    "",
    "## Use",
    "",
    "With [ddsc](https://www.npmjs.com/package/ddsc), from the folder of these files:",
    "",
    "```sh",
    "npx ddsc inspect .",
    `npx ddsc impute --model . --data cells.h5ad --out filled.h5ad${kind === "ranks" ? " --genes GENE1,GENE2" : ""}`,
    ...(kind === "counts"
      ? [
          "npx ddsc embed --model . --data cells.h5ad --out embedded.h5ad",
          "npx ddsc generate --model . --cells 200 --out new.h5ad",
        ]
      : []),
    "```",
    "",
    "```ts",
    'import { Denoiser } from "ddsc";',
    "",
    'const model = await Denoiser.load(".");',
    "```",
    "",
    "`cells.h5ad` holds raw counts; genes are matched by identifier, then by their other names.",
    "",
    "## Scores",
    "",
    ...(evaluation === undefined
      ? [
          "Not measured: `npx ddsc evaluate --model . --data cells.h5ad` does, beside baselines, on cells of your own.",
        ]
      : [...measuredOn(evaluation), "", ...scoreLines(evaluation)]),
    "",
    "## Training data",
    "",
    ...provenanceLines(input.provenance),
    "",
    "## What it is not for",
    "",
    "It says what cells like those it was trained on would have; it finds no new biology by itself, and says nothing about genes that it was " +
      "not trained on. Its numbers are predictions, not measurements. It is no medical device.",
    "",
    `Weights: ${weights === "ema" ? "the moving average of training" : "as trained"}, float32. Written by ${input.version}.`,
  ];
  return `${lines.map((line) => printable(line)).join("\n")}\n`;
}

function shapeLines({ description, parameters }: CardInput, kind: "counts" | "ranks"): string[] {
  const { config, tokenizer, diffusion, conditions } = description;
  const { vocabulary, strategy, maxLength } = tokenizer;
  const rows = [
    ["weights", withThousands(parameters)],
    ["shape", `${config.blocks} blocks, ${config.hidden} wide, ${config.heads} heads`],
    ["genes", withThousands(vocabulary.geneCount)],
    [
      "tokens",
      kind === "counts"
        ? `counts in ${strategy.values} values, at most ${maxLength} of evidence a cell`
        : `${strategy.values} ranks, at most ${maxLength} tokens a cell`,
    ],
    [
      "objective",
      kind === "counts"
        ? "any-order bound: hidden genes from visible ones"
        : `${diffusion.objective.kind}, ${diffusion.schedule.kind} schedule`,
    ],
    ...(kind === "counts"
      ? [["conditions", conditions.length === 0 ? "none" : conditions.map(conditionText).join("; ")]]
      : []),
  ];
  return tableOf(["", ""], rows).map((line, i) => (i === 1 ? "| --- | --- |" : line));
}

function conditionText(condition: Condition): string {
  const name = escaped(condition.name);
  if (condition.kind === "number") return `${name} (a number)`;
  const some = condition.labels.slice(0, LABELS).map(escaped).join(", ");
  return `${name}: ${some}${condition.labels.length > LABELS ? `, and ${condition.labels.length - LABELS} more` : ""}`;
}

function measuredOn({ data, cells }: JsonObject): string[] {
  const names = typeof data === "string" ? namesOnly(data).slice(0, FILES).map(escaped).join(", ") : "";
  const many =
    typeof cells === "number" && Number.isSafeInteger(cells)
      ? `${withThousands(cells)} held-out cells`
      : "held-out cells";
  return [`On ${many}${names === "" ? "" : ` of ${names}`}, with \`ddsc evaluate\`.`];
}

function provenanceLines(provenance: Provenance | undefined): string[] {
  if (provenance === undefined) return ["Not recorded with the model: say here what it was trained on."];
  const { data, cells, genes, where, heldOut, step } = provenance;
  const rows: (readonly [string, string | undefined])[] = [
    ["files", data.length === 0 ? undefined : data.slice(0, FILES).map(escaped).join(", ")],
    ["cells", cells === undefined ? undefined : withThousands(cells)],
    ["genes", genes === undefined ? undefined : withThousands(genes)],
    ["those where", where === undefined ? undefined : escaped(where)],
    ["held out", heldOut === undefined ? undefined : escaped(heldOut)],
    ["step", step === undefined ? undefined : withThousands(step)],
  ];
  const known = rows.flatMap(([name, value]) => (value === undefined ? [] : [`- ${name}: ${value}`]));
  return known.length === 0 ? ["Recorded without a name."] : known;
}
