import { checkKind } from "../../base/arguments.js";
import { checkChoice, checkWhole } from "../../base/errors.js";
import { checkArray } from "../checks.js";
import { drawFigure, type Panel, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { FillingInput, FillingOptions } from "../inputs.js";
import { imageAddress } from "../marks.js";
import { node } from "../markup.js";
import { counted, nothingToDraw } from "../numbers.js";
import { COLOURS, channels } from "../palette.js";
import { fitText, nameText } from "../text.js";

/** Pixels of a field from which its gene and value are written in it. */
const WRITTEN = { width: 44, height: 26 } as const;
/** Fields at most for which the picture tells genes by name. */
const MOST_NAMED = 80;
/** Steps of the colours from the least to the largest value. */
const STEPS = 12;

/** What of a gene is to be seen. */
type Field =
  | { readonly kind: "hidden" }
  | { readonly kind: "known" | "filled" | "own"; readonly value: number };

/**
 * One moment of a cell being filled in: a field for each gene, in the order given, row by row. Hidden genes are grey; those known from the
 * start are green and those that the model filled in up to `step` blue, the stronger the larger their count or rank, and blank at 0. Beside it the
 * cell's own values, where there are any. All moments of a filling-in have one size, so that they make an animation. Throws `PLOT_EMPTY` without genes,
 * `ARGUMENT_*`.
 */
export function fillingFigure(input: FillingInput, options: FillingOptions = {}): Figure {
  checkKind("input", input, "object");
  const { genes, revealedAt, values, truth } = input;
  checkKind("input.genes", genes, "texts");
  const steps = checkWhole("input.steps", input.steps, 0);
  const kind = checkChoice("input.kind", input.kind, ["counts", "ranks"]);
  checkArray("input.revealedAt", revealedAt, "integers", genes.length);
  checkArray("input.values", values, "integers", genes.length);
  if (truth !== undefined) checkArray("input.truth", truth, "integers", genes.length);
  if (input.title !== undefined) checkKind("input.title", input.title, "text");
  if (genes.length === 0) throw nothingToDraw("there is no gene", "fill in a cell with genes");
  const step = checkWhole("step", options.step ?? steps, 0, steps);
  const width = widthOf(options);
  const largest = largestOf(values, truth);
  const names = genes.map(nameText);
  const fields = Array.from(revealedAt, (at, gene): Field => {
    if (at > step) return { kind: "hidden" };
    return { kind: at <= 0 ? "known" : "filled", value: values[gene] as number };
  });
  const columns = truth !== undefined && width >= 480 ? 2 : 1;
  const of = { names, largest, isNamed: genes.length <= MOST_NAMED };
  const panels = [
    gridPanel(`Step ${step} of ${steps}`, fields, of),
    ...(truth === undefined
      ? []
      : [
          gridPanel(
            "The cell itself",
            Array.from(truth, (value): Field => ({ kind: "own", value })),
            of,
          ),
        ]),
  ];
  const known = fields.filter((field) => field.kind === "known").length;
  const filled = fields.filter((field) => field.kind === "filled").length;
  const word = kind === "counts" ? "count" : "rank";
  return drawFigure(
    {
      name: "filling",
      title:
        input.title === undefined
          ? known > 0 || revealedAt.some((at) => at <= 0)
            ? "What does the model put into the hidden genes of a cell?"
            : "How does the model draw a whole cell?"
          : nameText(input.title),
      description:
        `Step ${step} of ${steps}: of ${counted(genes.length, "gene")} ${known} were known, ${filled} are filled in and ${genes.length - known - filled} still hidden.` +
        truthText(fields, truth),
      table: {
        columns: [
          "gene",
          "revealed in step",
          word,
          ...(truth === undefined ? [] : [`the cell's own ${word}`]),
        ],
        rows: names.map((gene, i) => {
          const field = fields[i] as Field;
          const isHidden = field.kind === "hidden";
          return [
            gene,
            isHidden ? null : Math.max(0, revealedAt[i] as number),
            isHidden ? null : field.value,
            ...(truth === undefined ? [] : [truth[i] as number]),
          ];
        }),
      },
      legend: [
        { label: "hidden", colour: COLOURS.grey, shape: "square", opacity: 0.45 },
        ...(revealedAt.some((at) => at <= 0)
          ? ([{ label: "known", colour: COLOURS.green, shape: "square" }] as const)
          : []),
        { label: "filled in", colour: COLOURS.blue, shape: "square" },
        ...(truth === undefined
          ? []
          : ([{ label: "the cell itself", colour: COLOURS.purple, shape: "square" }] as const)),
        { label: `${word} 0`, colour: COLOURS.ground, shape: "square" },
      ],
      panels,
      columns,
      note: `A field is a gene; the stronger its colour the larger its ${word}, up to ${largest.toLocaleString("en-US")}${kind === "counts" ? " (logarithmic)" : ""}.`,
    },
    options,
  );
}

/** The largest value, for the colours; 1 where all are 0. */
function largestOf(values: Int32Array, truth: Int32Array | undefined): number {
  let largest = 1;
  for (const array of [values, ...(truth === undefined ? [] : [truth])]) {
    for (const value of array) if (value > largest) largest = value;
  }
  return largest;
}

function truthText(fields: readonly Field[], truth: Int32Array | undefined): string {
  if (truth === undefined) return "";
  const filled = fields.flatMap((field, gene) =>
    field.kind === "filled" ? [{ value: field.value, own: truth[gene] as number }] : [],
  );
  if (filled.length === 0) return "";
  const right = filled.filter(({ value, own }) => value === own).length;
  const zeros = filled.filter(({ value, own }) => value > 0 === own > 0).length;
  return ` Of those filled in ${right} equal the cell's own, and ${zeros} are rightly 0 or above.`;
}

interface GridOf {
  readonly names: readonly string[];
  readonly largest: number;
  readonly isNamed: boolean;
}

/** A grid of fields; many small ones are a picture, a few large ones have their gene and value written in them. */
function gridPanel(title: string, fields: readonly Field[], { names, largest, isNamed }: GridOf): Panel {
  const shapeAt = (width: number) => {
    const columns = isNamed
      ? Math.max(1, Math.min(fields.length, Math.floor(width / WRITTEN.width)))
      : Math.max(1, Math.ceil(Math.sqrt(fields.length * 1.5)));
    const rows = Math.ceil(fields.length / columns);
    const field = width / columns;
    return {
      columns,
      rows,
      fieldWidth: isNamed ? Math.min(field, 90) : field,
      fieldHeight: isNamed ? WRITTEN.height : field,
    };
  };
  return {
    title,
    height: (width) => {
      const { rows, fieldHeight } = shapeAt(width);
      return rows * fieldHeight + 6;
    },
    draw: (width) => {
      const { columns, rows, fieldWidth, fieldHeight } = shapeAt(width);
      // An even number of pixels a field, so that fields are equal; the last column and row of them is left blank as a gap.
      const size = columns <= 60 ? 8 : 4;
      const address = imageAddress(columns * size, rows * size, 1, (x, y) => {
        const field = fields[Math.floor(y / size) * columns + Math.floor(x / size)];
        const isGap = x % size === size - 1 || y % size === size - 1;
        return field === undefined || isGap ? [0, 0, 0, 0] : colourOf(field, largest, isNamed ? 150 : 255);
      });
      const place = (gene: number) => ({
        x: (gene % columns) * fieldWidth,
        y: Math.floor(gene / columns) * fieldHeight,
      });
      const area = { width: columns * fieldWidth, height: rows * fieldHeight };
      return node(
        "g",
        {},
        node("rect", { ...area, x: 0, y: 0, fill: COLOURS.ground, stroke: COLOURS.faint }),
        node("image", {
          ...area,
          x: 0,
          y: 0,
          href: address,
          preserveAspectRatio: "none",
          "image-rendering": "optimizeSpeed",
        }),
        ...(isNamed
          ? names.flatMap((name, gene) => {
              const { x, y } = place(gene);
              const field = fields[gene] as Field;
              return [
                node("text", { x: x + 3, y: y + 10, "font-size": 8.5 }, fitText(name, fieldWidth - 6, 8.5)),
                node(
                  "text",
                  { x: x + 3, y: y + 21, "font-size": 10, "font-weight": 700 },
                  field.kind === "hidden" ? "?" : String(field.value),
                ),
              ];
            })
          : []),
      );
    },
  };
}

/** @param most opacity of the largest value, 0..255: text must be read on it */
function colourOf(field: Field, largest: number, most: number): readonly [number, number, number, number] {
  if (field.kind === "hidden") return [...channels(COLOURS.grey), 115];
  if (field.value <= 0) return [...channels(COLOURS.grey), 22];
  const colour = { known: COLOURS.green, filled: COLOURS.blue, own: COLOURS.purple }[field.kind];
  const strength = largest <= 1 ? 1 : Math.log1p(field.value) / Math.log1p(largest);
  return [...channels(colour), Math.round(50 + ((most - 50) * Math.round(strength * STEPS)) / STEPS)];
}
