import type { RunInfo } from "../messages.js";
import { byId, element, setText } from "./dom.js";
import { bytes, duration, number, short, time, whole } from "./format.js";
import { colourOf, dashOf, type Runs, type ShownRun } from "./runs.js";

const COLUMNS = [
  "Run",
  "State",
  "Step",
  "Time left",
  "Loss",
  "Validation",
  "Baselines",
  "Tokens/s",
  "Memory",
  "Checkpoint",
] as const;

const SVG = "http://www.w3.org/2000/svg";

interface Row {
  readonly row: HTMLTableRowElement;
  readonly cells: readonly HTMLElement[];
  readonly name: HTMLElement;
  readonly about: HTMLElement;
  /** What each cell shows, so that only what changed is touched. */
  readonly texts: string[];
}

/** The table of the runs: what their curves say, in words and numbers. */
export class RunsTable {
  readonly #runs: Runs;
  readonly #onChoice: () => void;
  readonly #body = element("tbody", { role: "rowgroup" });
  #rows = new Map<string, Row>();

  /** @param onChoice called when the reader shows or hides a run */
  constructor(runs: Runs, onChoice: () => void) {
    this.#runs = runs;
    this.#onChoice = onChoice;
    const head = COLUMNS.map((name) => element("th", { scope: "col", role: "columnheader" }, name));
    byId("runs").append(
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)),
      this.#body,
    );
  }

  draw(): void {
    const rows = new Map<string, Row>();
    for (const run of this.#runs.all) {
      const row = this.#rows.get(run.id) ?? this.#makeRow(run);
      rows.set(run.id, row);
      if (run.info !== undefined) fill(row, run.info);
    }
    for (const [id, { row }] of this.#rows) if (!rows.has(id)) row.remove();
    this.#rows = rows;
    for (const [index, { row }] of [...rows.values()].entries()) {
      if (this.#body.children[index] !== row)
        this.#body.insertBefore(row, this.#body.children[index] ?? null);
    }
  }

  #makeRow(run: ShownRun): Row {
    const box = element("input", { type: "checkbox", id: `show-${run.id}` });
    box.checked = run.shown;
    box.addEventListener("change", () => {
      this.#runs.show(run.id, box.checked);
      this.#onChoice();
    });
    const name = element("span");
    const about = element("span", { class: "below" });
    const label = element("label", { for: box.id }, box, swatch(run), name);
    const head = element("th", { scope: "row", role: "rowheader" }, label, about);
    const cells = COLUMNS.slice(1).map((column) => element("td", { role: "cell", "data-label": column }));
    return { row: element("tr", { role: "row" }, head, ...cells), cells, name, about, texts: [] };
  }
}

/** A line in the colour and the dash of a run. */
function swatch(run: ShownRun): SVGElement {
  const image = document.createElementNS(SVG, "svg");
  image.setAttribute("class", "swatch");
  image.setAttribute("viewBox", "0 0 22 20");
  image.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "line");
  const place = { x1: "0", x2: "22", y1: "10", y2: "10", "stroke-dasharray": dashOf(run).join(" ") };
  for (const [name, value] of Object.entries(place)) line.setAttribute(name, value);
  line.style.stroke = colourOf(run);
  image.append(line);
  return image;
}

function fill({ cells, name, about, texts }: Row, info: RunInfo): void {
  setText(name, info.name);
  setText(about, aboutOf(info));
  const contents = contentsOf(info);
  for (const [index, content] of contents.entries()) {
    const key = JSON.stringify(content);
    const cell = cells[index];
    if (texts[index] === key || cell === undefined) continue;
    texts[index] = key;
    const { text, below = "", tone, done } = content;
    const parts: (Node | string)[] = [tone === undefined ? text : element("span", { class: tone }, text)];
    if (done !== undefined) {
      const bar = element("progress", { max: "1", "aria-label": "steps done" });
      bar.value = done;
      parts.push(bar);
    }
    if (below !== "") parts.push(element("span", { class: "below" }, below));
    cell.replaceChildren(...parts);
  }
}

/** What a cell shows. */
interface Content {
  readonly text: string;
  readonly below?: string;
  readonly tone?: "good" | "bad";
  readonly done?: number;
}

function contentsOf(info: RunInfo): Content[] {
  const { validation, baselines, memory, checkpoint, steps, step, state, secondsLeft } = info;
  const best = baselines.length === 0 ? null : Math.min(...baselines.map((one) => one.crossEntropy));
  const ofBest = checkpoint?.best === null ? "" : `best at ${whole(checkpoint?.best ?? null)}`;
  return [
    {
      text: info.stateText,
      ...(state === "failed" || state === "killed" ? { tone: "bad" as const } : {}),
      ...(info.error === null ? {} : { below: info.error.code }),
    },
    {
      text: steps === null ? whole(step) : `${whole(step)} of ${whole(steps)}`,
      ...(steps === null ? {} : { done: Math.min(1, step / Math.max(1, steps)) }),
    },
    { text: secondsLeft === null ? "\u2013" : duration(secondsLeft) },
    { text: number(info.loss) },
    validation === null
      ? { text: "\u2013" }
      : {
          text: number(validation.crossEntropy),
          below: `at step ${whole(validation.step)}${beside(validation.crossEntropy, best)}`,
        },
    baselines.length === 0
      ? { text: "\u2013" }
      : {
          text: baselines.map((one) => number(one.crossEntropy)).join(", "),
          below: baselines.map((one) => one.name).join(", "),
        },
    { text: short(info.tokensPerSecond) },
    memory === null
      ? { text: "\u2013" }
      : { text: bytes(memory.held), below: `held; model and batch ${bytes(memory.planned)} at most` },
    checkpoint === null
      ? { text: "none yet" }
      : {
          text: `step ${whole(checkpoint.step)}`,
          below: [time(checkpoint.saved), ofBest].filter(Boolean).join("; "),
        },
  ];
}

/** Whether a validation is better than what it is compared with. */
function beside(value: number, baseline: number | null): string {
  if (baseline === null) return "";
  const difference = value - baseline;
  return difference < 0 ? `; ${number(-difference)} below the baseline` : `; no better than the baseline`;
}

function aboutOf({ values, data, cells, genes, device, parameters }: RunInfo): string {
  const parts = [
    ...(values === null ? [] : [`model of ${values}`]),
    ...(parameters === null ? [] : [`${short(parameters)} parameters`]),
    ...(data === null ? [] : [`${data}: ${whole(cells)} cells, ${whole(genes)} genes`]),
    ...(device === null ? [] : [device]),
  ];
  return parts.join("; ");
}
