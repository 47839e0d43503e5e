import { withThousands } from "../../base/thousands.js";
import { tokenizeRows } from "../../batching/index.js";
import type { TaskHooks } from "../../tasks/hooks.js";
import type { ChosenCells, ChosenSource } from "../../tasks/run_cells.js";
import type { CountScoring } from "../../tasks/score_counts.js";
import { describeReport } from "../../tokenizer/index.js";
import { runTokenizer } from "../../training/tokenizer.js";
import type { Part, ReportData } from "../report_data.js";
import { commandsOf } from "./commands.js";
import { thinCurves } from "./curves.js";
import { factsOf } from "./facts.js";
import { type Fillings, fillCountCell, fillRankCell } from "./filling.js";
import { compareGenerated, type SideBySide } from "./generated.js";
import { mapCells } from "./map.js";
import {
  type RankScoring,
  rankVerdict,
  scoreCountCells,
  scoreGenes,
  scoreRankCells,
  someRows,
  withShownGroups,
} from "./scores.js";
import { type ReportSizes, reportSizes } from "./sizes.js";
import type { ReportSubject } from "./subject.js";
import { attempt, clip, NAME_CHARACTERS, ShownNames } from "./texts.js";

/** How a report is collected. */
export interface CollectOptions {
  /** Held-out cells that are scored, and cells that are generated, at most; left out: as many as take about a minute. */
  readonly cells: number | undefined;
  /** Column of metadata that tells the cells' types; left out: the model's first condition of labels. */
  readonly by: string | undefined;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Told how much is done, 0..1, and what is being done. */
  readonly onProgress: (share: number, what: string) => void;
}

/** Shares of the time that parts take, about. */
const DONE = { scores: 0.02, genes: 0.42, generate: 0.5, compare: 0.62, map: 0.78, filling: 0.88, end: 0.95 };

/**
 * Gathers what a report shows of a model, on cells that it was not trained on. What cannot be made is left out with the reason.
 * Rejects with the signal's reason when aborted.
 */
export async function collectReport(
  subject: ReportSubject,
  options: CollectOptions,
  hooks: TaskHooks,
): Promise<ReportData> {
  const { seed, signal, onProgress } = options;
  const { model, allowFractional } = subject;
  const names = new ShownNames();
  const notes: string[] = [];
  const own: TaskHooks = {
    ...hooks,
    onNote: (note) => {
      notes.push(clip(note));
      hooks.onNote(note);
    },
  };
  const { by, refused } = typesOf(subject, options.by);
  if (refused !== undefined) own.onNote(refused);
  const sizes = reportSizes(genesOf(subject), options.cells);
  const work = { sizes, seed, by, allowFractional, signal };
  onProgress(DONE.scores, "scoring held-out cells");
  const scored = await score(subject, work);
  onProgress(DONE.genes, "scoring gene by gene");
  const counts = "made" in scored && scored.made.kind === "counts" ? scored.made.scoring : undefined;
  const genes = await given(
    countsOf(scored),
    (scoring) => scoreGenes(model, scoring, { seed, signal, names }),
    signal,
  );
  onProgress(DONE.generate, "generating cells");
  const compared = await given(
    trained(
      subject,
      "cells are generated with ddsc generate from models of counts; one of ranks draws ranks for given genes",
    ),
    (chosen) =>
      compareGenerated(
        model,
        chosen,
        {
          ...work,
          names,
          onProgress: (share) =>
            share < 1
              ? onProgress(DONE.generate + share * (DONE.compare - DONE.generate), "generating cells")
              : onProgress(DONE.compare, "comparing generated cells with real ones"),
        },
        own,
      ),
    signal,
  );
  onProgress(DONE.map, "mapping cells");
  const map = await given(sideBySide(compared), (cells) => mapCells(cells, { seed, signal, names }), signal);
  onProgress(DONE.filling, "filling in a cell step by step");
  const fillings = await fill(subject, scored, { seed, names, signal });
  onProgress(DONE.end, "drawing");
  const looked = await attempt(() => lookedAt(subject, work), signal);
  const verdict = verdictOf(scored);
  return {
    name: subject.name,
    kind: model.ofCounts ? "counts" : "ranks",
    made: new Date().toISOString(),
    ...verdict,
    cells: cellsText(subject, scored),
    ...(by === undefined ? {} : { by: clip(by, NAME_CHARACTERS) }),
    curves: thinCurves(subject.metrics),
    scores: shownScores(scored, names),
    genes,
    generated: "made" in compared ? { made: compared.made.part } : compared,
    map,
    filling: "made" in fillings ? { made: fillings.made.filling } : fillings,
    generation: "made" in fillings ? { made: fillings.made.generation } : fillings,
    facts: factsOf(subject, [...scoredFacts(scored, counts), ...("made" in looked ? looked.made : [])]),
    commands: commandsOf(subject),
    notes,
  };
}

type Scored =
  | { readonly kind: "counts"; readonly scoring: CountScoring }
  | { readonly kind: "ranks"; readonly scoring: RankScoring };

/** What is made of a part that is there; why not, where it is not. */
async function given<T, R>(
  part: Part<T>,
  make: (made: T) => Promise<R>,
  signal: AbortSignal | undefined,
): Promise<Part<R>> {
  return "made" in part ? attempt(() => make(part.made), signal) : part;
}

/** The column of types that the cells have. */
function typesOf(
  { model, cells }: ReportSubject,
  asked: string | undefined,
): { readonly by: string | undefined; readonly refused?: string } {
  const by = asked ?? model.conditions.find(({ kind }) => kind === "labels")?.name;
  if (by === undefined || "missing" in cells) return { by };
  const known = cells.made.source.metadataColumns.some(({ name }) => name === by);
  if (known) return { by };
  return {
    by: undefined,
    refused: `${cells.made.source.name}: has no column "${by}", so nothing is by type`,
  };
}

/** Genes that a cell is asked about. */
function genesOf({ model, cells }: ReportSubject): number {
  const known = model.vocabulary.geneCount;
  return "made" in cells ? Math.min(known, cells.made.source.genes.length) : known;
}

async function score(
  subject: ReportSubject,
  work: Parameters<typeof scoreCountCells>[2] & { readonly sizes: ReportSizes },
): Promise<Part<Scored>> {
  const { model, cells, scoring } = subject;
  if (scoring !== undefined) return { made: { kind: "counts", scoring } };
  if (!model.ofCounts) {
    return given(
      cells,
      async (chosen) => ({ kind: "ranks" as const, scoring: await scoreRankCells(model, chosen, work) }),
      work.signal,
    );
  }
  return given(
    trained(subject, ""),
    async (chosen) => ({ kind: "counts" as const, scoring: await scoreCountCells(model, chosen, work) }),
    work.signal,
  );
}

/** Cells with training cells beside them, of a model of counts. */
function trained(
  { model, cells }: ReportSubject,
  ofRanks: string,
): Part<ChosenCells & { readonly training: ChosenSource }> {
  if (!model.ofCounts) return { missing: ofRanks };
  if ("missing" in cells) return cells;
  const { training } = cells.made;
  if (training !== undefined) return { made: { ...cells.made, training } };
  return {
    missing:
      "the cells that the model was trained on are not at hand, and it is compared beside baselines of them",
  };
}

function countsOf(scored: Part<Scored>): Part<CountScoring> {
  if ("missing" in scored) return scored;
  if (scored.made.kind === "counts") return { made: scored.made.scoring };
  return {
    missing:
      "genes are scored one by one for models of counts; one of ranks sees only the genes that a cell expresses",
  };
}

function sideBySide(compared: Part<{ readonly cells: SideBySide }>): Part<SideBySide> {
  return "made" in compared ? { made: compared.made.cells } : compared;
}

async function fill(
  { model, cells }: ReportSubject,
  scored: Part<Scored>,
  options: Parameters<typeof fillCountCell>[3],
): Promise<Part<Fillings>> {
  if ("missing" in cells) return cells;
  if ("missing" in scored) return scored;
  const { source } = cells.made;
  const { made } = scored;
  const filled = await attempt(
    () =>
      made.kind === "counts"
        ? fillCountCell(model, source, made.scoring, options)
        : fillRankCell(model, source, made.scoring.rows, options),
    options.signal,
  );
  if ("missing" in filled) return filled;
  return filled.made === undefined
    ? { missing: "the first held-out cell expresses no gene that the model knows" }
    : { made: filled.made };
}

function verdictOf(scored: Part<Scored>): { readonly verdict: string; readonly beaten?: boolean } {
  if ("missing" in scored) {
    return { verdict: `Whether the model beats simple baselines is not known: ${scored.missing}` };
  }
  if (scored.made.kind === "counts") {
    const { sentence, beaten } = scored.made.scoring.scores.verdict;
    return { verdict: sentence, beaten };
  }
  const { sentence, beaten } = rankVerdict(scored.made.scoring.evaluation);
  return { verdict: sentence, ...(beaten === undefined ? {} : { beaten }) };
}

function cellsText({ cells, folder }: ReportSubject, scored: Part<Scored>): string {
  if ("missing" in cells || "missing" in scored) return "No cells were scored.";
  const { source, heldOut } = cells.made;
  const count =
    scored.made.kind === "counts" ? scored.made.scoring.scores.cells : scored.made.scoring.evaluation.cells;
  if (folder === undefined) return `On ${withThousands(count)} cells that were kept aside.`;
  const isHeldOut = heldOut.split !== undefined || heldOut.rows !== undefined;
  const which = isHeldOut ? "of the cells that the run held out" : `cells of ${clip(source.name)}`;
  return `On ${withThousands(count)} ${which}; more (--cells) take longer and narrow the intervals.`;
}

function shownScores(scored: Part<Scored>, names: ShownNames): ReportData["scores"] {
  if ("missing" in scored) return scored;
  const { made } = scored;
  if (made.kind === "ranks") {
    return { made: { kind: "ranks", evaluation: withShownGroups(made.scoring.evaluation, names) } };
  }
  const { scores, trainingCells } = made.scoring;
  return { made: { kind: "counts", evaluation: withShownGroups(scores, names), trainingCells } };
}

function scoredFacts(scored: Part<Scored>, counts: CountScoring | undefined): [string, string][] {
  if ("missing" in scored) return [];
  if (scored.made.kind === "ranks") {
    const { evaluation } = scored.made.scoring;
    return [
      ["scored here", `${withThousands(evaluation.cells)} cells, ${withThousands(evaluation.tokens)} ranks`],
    ];
  }
  const genes = counts?.scores.genes ?? 0;
  return [
    [
      "scored here",
      `${withThousands(counts?.scores.cells ?? 0)} cells, ${withThousands(genes)} genes measured and known`,
    ],
    ["baselines fitted on", `${withThousands(counts?.trainingCells ?? 0)} training cells`],
  ];
}

/** What the tokenizer leaves out of the cells that are scored. */
async function lookedAt(
  { model, cells, allowFractional }: ReportSubject,
  {
    sizes,
    seed,
    signal,
  }: { readonly sizes: ReportSizes; readonly seed: number; readonly signal: AbortSignal | undefined },
): Promise<[string, string][]> {
  if ("missing" in cells) return [];
  const { source, heldOut } = cells.made;
  const { maxLength, minGenes } = model.tokenizer;
  const tokenizer = runTokenizer(model.tokenizer, { maxLength, seed, allowFractional });
  const { match } = tokenizer.map(source);
  const rows = await someRows({ source, selection: heldOut }, sizes.cells, seed, signal);
  const { report } = await tokenizeRows(source, tokenizer, rows);
  const skipped = describeReport(report, minGenes).map((line) => clip(line));
  return [
    ["genes known to the model", `${withThousands(match.matched)} of ${withThousands(source.genes.length)}`],
    [
      `left out of ${withThousands(rows.length)} cells that were looked at`,
      skipped.length === 0 ? "nothing" : skipped.join("; "),
    ],
  ];
}
