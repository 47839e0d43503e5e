import * as Plot from "@observablehq/plot";
import { checkKind } from "../../base/arguments.js";
import { DdscError, wrongType } from "../../base/errors.js";
import { checkArray } from "../checks.js";
import { drawFigure, type LegendEntry, type Panel, panelWidth, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { CellMapInput, PlotOptions } from "../inputs.js";
import { points } from "../marks.js";
import { counted, extent, finite, groupedBy, nothingToDraw, percent, widened } from "../numbers.js";
import { CATEGORIES, COLOURS } from "../palette.js";
import { plotPanel } from "../panel.js";
import { fitText, nameText } from "../text.js";

/** What the labels with few cells are drawn as. */
interface Group {
  readonly label: string;
  readonly colour: string;
  /** Its number on the map; undefined: it is one of many small ones, or all there is. */
  readonly number?: number;
  /** Places of its cells. */
  readonly cells: readonly number[];
}

/**
 * Where generated cells lie among real ones in a plane that keeps neighbours together: real cells in one panel, generated ones in the
 * other, coloured and numbered by label where there are labels; the cells of the other panel in grey behind. The eight labels with most cells have
 * a colour. Throws `PLOT_EMPTY` without cells, `ARGUMENT_*`.
 */
export function cellMapFigure(input: CellMapInput, options: PlotOptions = {}): Figure {
  checkKind("input", input, "object");
  const { points: coordinates, isGenerated, labels } = input;
  checkKind("input.method", input.method, "text");
  if (!(isGenerated instanceof Uint8Array)) throw wrongType("input.isGenerated", isGenerated, "a Uint8Array");
  checkArray("input.points", coordinates, "doubles", 2 * isGenerated.length);
  if (labels !== undefined) {
    checkKind("input.labels", labels, "texts");
    if (labels.length !== isGenerated.length) {
      const problem = `expected ${isGenerated.length} labels but received ${labels.length}`;
      throw new DdscError("ARGUMENT_LENGTH", problem, { argument: "input.labels" });
    }
  }
  const xs = coordinates.filter((_, i) => i % 2 === 0);
  const ys = coordinates.filter((_, i) => i % 2 === 1);
  const places = Array.from(isGenerated.keys()).filter(
    (cell) => Number.isFinite(xs[cell]) && Number.isFinite(ys[cell]),
  );
  const xRange = extent(places.map((cell) => xs[cell] as number));
  const yRange = extent(places.map((cell) => ys[cell] as number));
  if (xRange === undefined || yRange === undefined)
    throw nothingToDraw("no cell has a place", "give at least one cell");
  const groups = groupsOf(places, labels);
  const sides = [0, 1].map((kind) => places.filter((cell) => isGenerated[cell] === kind));
  const method = nameText(input.method);
  const width = widthOf(options);
  const columns = width >= 480 ? 2 : 1;
  const height = Math.min(panelWidth(width, columns) * (columns === 2 ? 1 : 0.85), 360) + 22;
  const panels = sides.map((own, kind): Panel => {
    const others = sides[1 - kind] as number[];
    const ownPlaces = new Set(own);
    const at = (cells: readonly number[], of: Float64Array) => cells.map((cell) => of[cell] as number);
    const radius = places.length > 3000 ? 1.25 : places.length > 300 ? 1.75 : 3;
    const shown = groups.map((group) => ({
      ...group,
      cells: group.cells.filter((cell) => ownPlaces.has(cell)),
    }));
    const numbers = shown.filter(({ number, cells }) => number !== undefined && cells.length > 0);
    return plotPanel(
      height,
      {
        ...{ marginLeft: 8, marginRight: 8, marginTop: 6, marginBottom: 24 },
        x: { domain: widened(xRange, 0.04), axis: null },
        y: { domain: widened(yRange, 0.04), axis: null },
        marks: [
          Plot.frame({ stroke: COLOURS.faint }),
          points(at(others, xs), at(others, ys), { colour: COLOURS.faint, radius, opacity: 0.6 }),
          ...shown.map(({ cells, colour }) =>
            points(at(cells, xs), at(cells, ys), { colour, radius, opacity: 0.8 }),
          ),
          ...numbers.flatMap(({ number, cells, colour }) => {
            const place = [[middle(at(cells, xs)), middle(at(cells, ys))]];
            return [
              Plot.dot(place, { r: 9, fill: COLOURS.ground, stroke: colour, strokeWidth: 2.5 }),
              Plot.text(place, {
                text: [String(number)],
                fill: COLOURS.ink,
                fontWeight: "bold",
                fontSize: 11,
              }),
            ];
          }),
          Plot.text([`${method} 1`], { frameAnchor: "bottom", dy: 18, fill: COLOURS.muted, fontSize: 11 }),
          Plot.text([`${method} 2`], {
            frameAnchor: "left",
            dx: -1,
            rotate: -90,
            dy: -1,
            lineAnchor: "bottom",
            fill: COLOURS.muted,
            fontSize: 11,
          }),
        ],
      },
      `${kind === 0 ? "Real" : "Generated"}: ${counted(own.length, "cell")}`,
    );
  });
  const share = (cells: readonly number[], of: readonly number[]) => {
    const own = new Set(of);
    return of.length === 0 ? "none" : percent(cells.filter((cell) => own.has(cell)).length / of.length);
  };
  const texts =
    labels === undefined
      ? []
      : groups.map(
          ({ label, cells }) =>
            `${label}: ${share(cells, sides[0] as number[])} of the real, ${share(cells, sides[1] as number[])} of the generated`,
        );
  return drawFigure(
    {
      name: "cell-map",
      title: "Do generated cells lie where real ones do?",
      description:
        `${method} of ${counted((sides[0] as number[]).length, "real cell")} and ${counted((sides[1] as number[]).length, "generated cell")}, each in a panel with the others in grey behind.` +
        (texts.length === 0 ? "" : ` Shares of cells: ${texts.join("; ")}.`),
      table: {
        columns: ["cell", "kind", "label", `${method} 1`, `${method} 2`],
        rows: Array.from(isGenerated, (kind, cell) => [
          cell + 1,
          kind === 0 ? "real" : "generated",
          labels === undefined ? null : nameText(labels[cell] as string),
          finite(xs[cell]),
          finite(ys[cell]),
        ]),
      },
      legend: [...legendOf(groups, width), { label: "the other panel's cells", colour: COLOURS.faint }],
      panels,
      columns,
      note: "Neighbours are alike; distances between groups, and the axes' numbers, mean nothing.",
    },
    options,
  );
}

/** Cells by label: those with most cells get a colour and a number, the others are one group in grey. */
function groupsOf(places: readonly number[], labels: readonly string[] | undefined): Group[] {
  if (labels === undefined) return [{ label: "cells", colour: COLOURS.blue, cells: places }];
  const byLabel = [...groupedBy(places, (cell) => labels[cell] as string)].sort(
    ([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1),
  );
  const named = byLabel.slice(0, CATEGORIES.length).map(
    ([label, cells], i): Group => ({
      label: nameText(label) === "" ? "(no label)" : nameText(label),
      colour: CATEGORIES[i] as string,
      number: i + 1,
      cells,
    }),
  );
  const rest = byLabel.slice(CATEGORIES.length);
  if (rest.length === 0) return named;
  const others = {
    label: `${rest.length} more`,
    colour: COLOURS.grey,
    cells: rest.flatMap(([, cells]) => cells),
  };
  // Below the others.
  return [others, ...named];
}

function legendOf(groups: readonly Group[], width: number): LegendEntry[] {
  return groups
    .toSorted((a, b) => (a.number ?? 99) - (b.number ?? 99))
    .map(({ label, colour, number }) => ({
      label: fitText(label, Math.min(260, width - 60), 12),
      colour,
      ...(number === undefined ? {} : { shape: { text: String(number) } }),
    }));
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
