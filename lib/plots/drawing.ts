/** How every figure is put together: heading, legend, panels, note. */
import { createHash } from "node:crypto";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber } from "../base/errors.js";
import { Figure, type FigureTable } from "./figure.js";
import type { PlotOptions } from "./inputs.js";
import { moved, node, type SvgNode, svgText } from "./markup.js";
import { COLOURS } from "./palette.js";
import { textWidth, wrapText } from "./text.js";

/** Size of the text of axes and labels, pixels. */
export const TEXT_SIZE = 12;
const TITLE_SIZE = 16;
const LINE = 1.3;
/** Pixels left free at each side. */
const EDGE = 12;
/** Pixels between panels. */
const GAP = 18;

/** What a colour or a shape stands for. */
export interface LegendEntry {
  readonly label: string;
  readonly colour: string;
  /** Default "dot"; text: a number that stands on the map. */
  readonly shape?: "dot" | "ring" | "line" | "dashes" | "square" | { readonly text: string };
  readonly opacity?: number;
}

/** A part of a figure with its own axes. */
export interface Panel {
  readonly title?: string;
  /** Pixels, for a width. */
  readonly height: number | ((width: number) => number);
  /** Draws it, from 0, 0 on. */
  readonly draw: (width: number) => SvgNode;
}

/** What a figure is made of. */
export interface Drawing {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly table: FigureTable;
  readonly legend?: readonly LegendEntry[];
  readonly panels: readonly Panel[];
  /** Panels side by side; default 1. */
  readonly columns?: number;
  /** What a reader should know to read the figure, in a smaller text below it. */
  readonly note?: string | undefined;
}

/** The width of a figure. Throws `ARGUMENT_RANGE` and `ARGUMENT_TYPE`. */
export function widthOf(options: PlotOptions): number {
  checkOptions(options, { heading: "switch" });
  return checkNumber("width", options.width ?? 640, { min: 280, max: 2000 });
}

/** Width of each of some panels side by side. */
export function panelWidth(width: number, columns: number): number {
  return (width - 2 * EDGE - GAP * (columns - 1)) / columns;
}

/** Puts a figure together. */
export function drawFigure(drawing: Drawing, options: PlotOptions): Figure {
  const width = widthOf(options);
  checkKind("title", drawing.title, "text");
  const inner = width - 2 * EDGE;
  const parts: SvgNode[] = [];
  let y = EDGE;
  if (options.heading ?? true) {
    const lines = wrapText(drawing.title, inner, TITLE_SIZE, 4, true);
    parts.push(textLines(lines, EDGE, y, { size: TITLE_SIZE, weight: 700 }));
    y += lines.length * TITLE_SIZE * LINE + 6;
  }
  if (drawing.legend !== undefined && drawing.legend.length > 0) {
    const legend = drawLegend(drawing.legend, inner);
    parts.push(moved(EDGE, y, ...legend.nodes));
    y += legend.height + 4;
  }
  const columns = drawing.columns ?? 1;
  const each = panelWidth(width, columns);
  for (let first = 0; first < drawing.panels.length; first += columns) {
    const row = drawing.panels.slice(first, first + columns);
    const titles = row.map(({ title }) => (title === undefined ? [] : wrapText(title, each, 13, 3, true)));
    const titleHeight = Math.max(...titles.map((lines) => lines.length)) * 13 * LINE;
    for (const [column, panel] of row.entries()) {
      const x = EDGE + column * (each + GAP);
      const lines = titles[column] as string[];
      if (lines.length > 0) parts.push(textLines(lines, x, y, { size: 13, weight: 700 }));
      parts.push(moved(x, y + titleHeight + (titleHeight > 0 ? 2 : 0), panel.draw(each)));
    }
    y +=
      titleHeight +
      Math.max(...row.map(({ height }) => (typeof height === "number" ? height : height(each)))) +
      8;
  }
  if (drawing.note !== undefined) {
    const lines = wrapText(drawing.note, inner, TEXT_SIZE, 20);
    parts.push(textLines(lines, EDGE, y, { size: TEXT_SIZE, colour: COLOURS.muted }));
    y += lines.length * TEXT_SIZE * LINE;
  }
  const height = Math.ceil(y + EDGE);
  const root = node(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      ...{ width, height, viewBox: `0 0 ${width} ${height}` },
      role: "img",
      "aria-labelledby": "title",
      "aria-describedby": "description",
      ...{ fill: COLOURS.ink, "font-family": "system-ui, sans-serif", "font-size": TEXT_SIZE },
    },
    node("title", { id: "title" }, drawing.title),
    node("desc", { id: "description" }, drawing.description),
    node("rect", { width, height, fill: COLOURS.ground }),
    ...parts,
  );
  const { name, title, description, table } = drawing;
  const svg = svgText(root, (text) => `ddsc-${name}-${hashOf(text)}-`);
  return new Figure({ name, title, description, svg, table });
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

/** Lines of text, the first one's top at y. */
export function textLines(
  lines: readonly string[],
  x: number,
  y: number,
  { size, weight, colour }: { size: number; weight?: number; colour?: string },
): SvgNode {
  return node(
    "text",
    { x, y, "font-size": size, "font-weight": weight, fill: colour },
    ...lines.map((line, i) => node("tspan", { x, y: y + size + i * size * LINE }, line)),
  );
}

/** Entries in rows, as many side by side as there is room for. */
function drawLegend(entries: readonly LegendEntry[], width: number): { nodes: SvgNode[]; height: number } {
  const row = 18;
  const nodes: SvgNode[] = [];
  let x = 0;
  let y = 0;
  for (const entry of entries) {
    const [label = ""] = wrapText(entry.label, width - 24, TEXT_SIZE, 1);
    const wide = 22 + textWidth(label, TEXT_SIZE) + 14;
    if (x > 0 && x + wide - 14 > width) {
      x = 0;
      y += row;
    }
    nodes.push(moved(x, y, swatch(entry), node("text", { x: 22, y: 13, fill: COLOURS.ink }, label)));
    x += wide;
  }
  return { nodes, height: y + row };
}

function swatch({ colour, shape = "dot", opacity }: LegendEntry): SvgNode {
  const line = { x1: 1, x2: 17, y1: 9, y2: 9, stroke: colour, "stroke-width": 2.5, opacity };
  if (typeof shape === "object") {
    return node(
      "g",
      {},
      node("circle", { cx: 9, cy: 9, r: 7.5, fill: COLOURS.ground, stroke: colour, "stroke-width": 2.5 }),
      node(
        "text",
        { x: 9, y: 12.5, "font-size": 10, "font-weight": 700, "text-anchor": "middle", fill: COLOURS.ink },
        shape.text,
      ),
    );
  }
  switch (shape) {
    case "dot":
      return node("circle", { cx: 9, cy: 9, r: 5, fill: colour, opacity });
    case "ring":
      return node("circle", {
        cx: 9,
        cy: 9,
        r: 4.5,
        fill: COLOURS.ground,
        stroke: colour,
        "stroke-width": 2,
      });
    case "line":
      return node("line", line);
    case "dashes":
      return node("line", { ...line, "stroke-width": 1.5, "stroke-dasharray": "4,3" });
    case "square":
      return node("rect", {
        x: 3,
        y: 3,
        width: 12,
        height: 12,
        fill: colour,
        "fill-opacity": opacity,
        stroke: COLOURS.muted,
        "stroke-width": 0.5,
      });
  }
}
