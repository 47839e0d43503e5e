import type uPlotType from "uplot";
import { byId, element } from "./dom.js";
import { number, short, whole } from "./format.js";
import { type Curves, dashOf, type Runs, type ShownRun } from "./runs.js";

/** The library, which the page loads before its modules. */
declare const uPlot: typeof uPlotType;

/** A curve with a name of its own. */
interface Line {
  readonly label: string;
  readonly run: ShownRun;
  readonly steps: readonly number[];
  readonly values: readonly (number | null)[];
  readonly kind: "curve" | "points" | "baseline";
}

interface ChartSpec {
  readonly title: string;
  readonly unit: string;
  readonly write: (value: number | null) => string;
  readonly lines: (run: ShownRun, smoothing: number) => Line[];
}

const four = (value: number | null) => number(value);
const power = (value: number | null) => (value === null ? "\u2013" : value.toExponential(1));

function ofCurve(name: Exclude<keyof Curves, "steps">, smooth: boolean): ChartSpec["lines"] {
  return (run, smoothing) => {
    const { steps } = run.curves;
    const values = smooth ? smoothed(run.curves[name], smoothing) : run.curves[name];
    return [{ label: labelOf(run), run, steps, values, kind: "curve" }];
  };
}

const CHARTS: readonly ChartSpec[] = [
  { title: "Training loss", unit: "nats a token or gene", write: four, lines: ofCurve("loss", true) },
  {
    title: "Validation",
    unit: "nats a hidden gene or masked token; dashed: baselines",
    write: four,
    lines: validationLines,
  },
  { title: "Speed", unit: "tokens a second", write: short, lines: ofCurve("tokensPerSecond", true) },
  { title: "Gradient norm", unit: "before clipping", write: four, lines: ofCurve("gradientNorm", true) },
  { title: "Learning rate", unit: "of AdamW", write: power, lines: ofCurve("learningRate", false) },
];

/** Validations as points on a line, and each baseline from the first step to the last. */
function validationLines(run: ShownRun): Line[] {
  const { steps, crossEntropy } = run.validations;
  const label = labelOf(run);
  const last = Math.max(run.curves.steps.at(-1) ?? 0, steps.at(-1) ?? 0, 1);
  const baselines = (run.info?.baselines ?? []).map(({ name, crossEntropy: value }) => ({
    ...{ label: `${label}: ${name}`, run, kind: "baseline" as const },
    ...{ steps: [0, last], values: [value, value] },
  }));
  return [{ label, run, steps, values: crossEntropy, kind: "points" }, ...baselines];
}

/** An exponential mean of the points, corrected for how few the first are. */
function smoothed(values: readonly (number | null)[], weight: number): (number | null)[] {
  let sum = 0;
  let total = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

const LONGEST_LABEL = 48;

function labelOf({ info }: ShownRun): string {
  const name = info?.name ?? "";
  return name.length <= LONGEST_LABEL ? name : `...${name.slice(3 - LONGEST_LABEL)}`;
}

const HEIGHT = 240;
/** More series than a legend can list. */
const LONGEST_LEGEND = 12;

/** One chart with the curves of all runs that are shown. */
class Chart {
  readonly #spec: ChartSpec;
  readonly #place = element("div", { class: "plot", role: "img" });
  readonly #empty = element("p", { class: "empty" }, "No figures yet.");
  #plot: uPlotType | undefined;
  #drawn = "";

  constructor(spec: ChartSpec, into: HTMLElement) {
    this.#spec = spec;
    const caption = element("figcaption", {}, spec.title, " ", element("span", {}, `(${spec.unit})`));
    into.append(element("figure", {}, caption, this.#empty, this.#place));
    new ResizeObserver(() => this.#fit()).observe(this.#place);
  }

  draw(runs: readonly ShownRun[], smoothing: number): void {
    const lines = runs
      .filter((run) => run.shown)
      .flatMap((run) => this.#spec.lines(run, smoothing))
      .filter(({ values }) => values.some((value) => value !== null));
    this.#empty.hidden = lines.length > 0;
    this.#place.hidden = lines.length === 0;
    this.#place.setAttribute("aria-label", this.#described(lines));
    const key = JSON.stringify(lines.map(({ label, run, kind }) => [label, run.look, kind]));
    if (lines.length === 0) {
      this.forget();
      return;
    }
    const data = joined(lines);
    if (this.#plot !== undefined && key === this.#drawn) {
      this.#plot.setData(data);
      return;
    }
    this.forget();
    this.#drawn = key;
    this.#plot = new uPlot(this.#options(lines), data, this.#place);
  }

  /** Lets the next drawing begin anew, with the colours of now. */
  forget(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#drawn = "";
  }

  #fit(): void {
    const width = this.#place.clientWidth;
    if (this.#plot !== undefined && width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: HEIGHT });
  }

  #described(lines: readonly Line[]): string {
    const ends = lines.map(({ label, steps, values }) => {
      const last = values.findLastIndex((value) => value !== null);
      return `${label} ${this.#spec.write(values[last] ?? null)} at step ${whole(steps[last] ?? null)}`;
    });
    const { title, unit } = this.#spec;
    return `${title} (${unit}) by step: ${ends.length === 0 ? "no figures yet" : ends.join("; ")}`;
  }

  #options(lines: readonly Line[]): uPlotType.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--faint"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const { write } = this.#spec;
    return {
      width: Math.max(200, this.#place.clientWidth),
      height: HEIGHT,
      legend: { show: lines.length <= LONGEST_LEGEND },
      cursor: { y: false },
      scales: { x: { time: false } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => short(tick)) },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : write(tick))) },
      ],
      series: [
        { label: "step", value: (_, value) => whole(value) },
        ...lines.map(({ label, run, kind }) => ({
          label,
          stroke: colour(`--curve-${run.look % 8}`),
          width: kind === "baseline" ? 1.5 : 2,
          dash: kind === "baseline" ? [5, 5] : [...dashOf(run)],
          spanGaps: true,
          points: { show: kind === "points", fill: colour("--paper") },
          value: (_: unknown, value: number | null) => write(value),
        })),
      ],
    };
  }
}

/** Lines of different steps on one axis of steps. */
function joined(lines: readonly Line[]): uPlotType.AlignedData {
  return uPlot.join(lines.map(({ steps, values }): uPlotType.AlignedData => [[...steps], [...values]]));
}

/** All charts. */
export class Charts {
  readonly #runs: Runs;
  readonly #charts: readonly Chart[];
  smoothing = 0.9;

  constructor(runs: Runs) {
    this.#runs = runs;
    const place = byId("charts");
    this.#charts = CHARTS.map((spec) => new Chart(spec, place));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => {
      for (const chart of this.#charts) chart.forget();
      this.draw();
    });
  }

  draw(): void {
    const { all } = this.#runs;
    for (const chart of this.#charts) chart.draw(all, this.smoothing);
  }
}
