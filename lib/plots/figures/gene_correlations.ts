import { checkKind } from "../../base/arguments.js";
import { DdscError } from "../../base/errors.js";
import { checkArray } from "../checks.js";
import { drawFigure, type Panel, TEXT_SIZE } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { GeneCorrelationsInput, PlotOptions } from "../inputs.js";
import { imageAddress } from "../marks.js";
import { node, type SvgNode } from "../markup.js";
import { counted, finite, fixed, nothingToDraw } from "../numbers.js";
import { COLOURS, channels } from "../palette.js";
import { fitText, nameText, textWidth } from "../text.js";

const MOST_GENES = 1000;
/** Steps of the colours from no correlation to the strongest: more are not seen, and make larger pictures. */
const STEPS = 24;
/** Pixels that a row needs for its gene's name to be written beside it. */
const NAMED = 9;

/**
 * Whether genes that go together in real cells do so in generated ones: correlations of real cells above the diagonal, of generated ones
 * below. Red is positive, blue negative, nothing is 0; the strongest colour is the 99th percentile. Throws `PLOT_EMPTY` where no two genes have
 * a correlation, `ARGUMENT_*`.
 */
export function geneCorrelationsFigure(input: GeneCorrelationsInput, options: PlotOptions = {}): Figure {
  checkKind("input", input, "object");
  checkKind("input.genes", input.genes, "texts");
  const genes = input.genes.map(nameText);
  const count = genes.length;
  if (count > MOST_GENES) {
    throw new DdscError(
      "ARGUMENT_RANGE",
      `expected at most ${MOST_GENES} genes for input.genes but received ${count}`,
      { argument: "input.genes" },
    );
  }
  checkArray("input.real", input.real, "doubles", count * count);
  checkArray("input.generated", input.generated, "doubles", count * count);
  const pairs = pairsOf(input, count);
  if (pairs.length === 0)
    throw nothingToDraw("no two genes have a correlation", "give at least three cells, and genes that vary");
  const strengths = Float64Array.from(
    pairs.flatMap(({ real, generated }) => [Math.abs(real), Math.abs(generated)]),
  ).sort();
  const strongest = Math.max(strengths[Math.floor(0.99 * (strengths.length - 1))] as number, 1e-6);
  const agreement = pearson(pairs);
  const pair = pairs.reduce((most, each) => (apart(each) > apart(most) ? each : most));
  const panel = matrixPanel(input, genes, strongest);
  return drawFigure(
    {
      name: "gene-correlations",
      title: "Do genes that go together in real cells do so in generated ones?",
      description:
        `Correlations of ${counted(count, "gene")} among real cells, above the diagonal, and among generated cells, below it. ` +
        (agreement === null ? "" : `Over all pairs the two have a correlation of ${fixed(agreement, 3)}. `) +
        `Furthest apart are ${genes[pair.row]} and ${genes[pair.column]}: ${fixed(pair.real, 2)} among real and ${fixed(pair.generated, 2)} among generated cells.`,
      table: {
        columns: ["gene", ...genes],
        rows: genes.map((gene, row) => [
          gene,
          ...genes.map((_, column) => {
            const value = finite((column >= row ? input.real : input.generated)[row * count + column]);
            return value === null ? null : Math.round(value * 1000) / 1000;
          }),
        ]),
      },
      panels: [panel],
      note: `Above the diagonal real cells, below it generated ones: where they agree, the picture is its own mirror image.${agreement === null ? "" : ` Over all pairs the two have a correlation of ${fixed(agreement, 3)}.`}`,
    },
    options,
  );
}

interface Pair {
  readonly row: number;
  readonly column: number;
  readonly real: number;
  readonly generated: number;
}

/** Pairs of different genes with a correlation of both kinds. */
function pairsOf({ real, generated }: GeneCorrelationsInput, count: number): Pair[] {
  const pairs: Pair[] = [];
  for (let row = 0; row < count; row++) {
    for (let column = row + 1; column < count; column++) {
      const place = row * count + column;
      const [of, by] = [finite(real[place]), finite(generated[place])];
      if (of !== null && by !== null) pairs.push({ row, column, real: of, generated: by });
    }
  }
  return pairs;
}

function apart({ real, generated }: Pair): number {
  return Math.abs(real - generated);
}

/** Correlation of the two kinds' correlations; null where one does not vary. */
function pearson(pairs: readonly Pair[]): number | null {
  const mean = (of: (pair: Pair) => number) => pairs.reduce((sum, pair) => sum + of(pair), 0) / pairs.length;
  const x = mean(({ real }) => real);
  const y = mean(({ generated }) => generated);
  const covariance = mean(({ real, generated }) => (real - x) * (generated - y));
  const spread = Math.sqrt(
    mean(({ real }) => (real - x) ** 2) * mean(({ generated }) => (generated - y) ** 2),
  );
  return spread > 0 ? covariance / spread : null;
}

function matrixPanel(input: GeneCorrelationsInput, genes: readonly string[], strongest: number): Panel {
  const count = genes.length;
  const side = (width: number) => Math.min(width - 26, 440);
  const grey = channels(COLOURS.grey);
  const address = imageAddress(count, count, Math.max(1, Math.ceil(480 / count)), (column, row) => {
    if (column === row) return [...grey, 140];
    return colourOf(finite((column > row ? input.real : input.generated)[row * count + column]), strongest);
  });
  const placed = (width: number) => {
    const names = Math.min(Math.max(...genes.map((gene) => textWidth(gene, 10))) + 8, 90);
    const left = side(width - names) / count >= NAMED ? names : 0;
    return { left, size: side(width - left) };
  };
  const draw = (width: number): SvgNode => {
    const { left, size } = placed(width);
    const cell = size / count;
    return node(
      "g",
      {},
      node(
        "text",
        { x: left + size, y: 12, "text-anchor": "end", fill: COLOURS.muted },
        "real, above the diagonal",
      ),
      node("rect", {
        x: left,
        y: 18,
        width: size,
        height: size,
        fill: COLOURS.ground,
        stroke: COLOURS.faint,
      }),
      node("image", {
        x: left,
        y: 18,
        width: size,
        height: size,
        href: address,
        preserveAspectRatio: "none",
        "image-rendering": "optimizeSpeed",
      }),
      node("text", { x: left, y: 18 + size + 14, fill: COLOURS.muted }, "generated, below the diagonal"),
      ...(left > 0
        ? genes.map((gene, row) =>
            node(
              "text",
              { x: left - 5, y: 18 + (row + 0.5) * cell + 3.5, "font-size": 10, "text-anchor": "end" },
              fitText(gene, left - 6, 10),
            ),
          )
        : []),
      scale(left, 18 + size + 22, Math.min(size - 80, 240), strongest),
    );
  };
  return { height: (width) => placed(width).size + 18 + 22 + 30, draw };
}

/** What the colours mean. */
function scale(x: number, y: number, width: number, strongest: number): SvgNode {
  const boxes = 2 * STEPS + 1;
  const address = imageAddress(boxes, 1, 4, (box) =>
    colourOf(((box - STEPS) / STEPS) * strongest, strongest),
  );
  const place = { x, y, width, height: 10 };
  return node(
    "g",
    {},
    node("image", { ...place, href: address, preserveAspectRatio: "none" }),
    node("rect", { ...place, fill: "none", stroke: COLOURS.faint }),
    ...(
      [
        ["start", x, `−${fixed(strongest, 2)}`],
        ["middle", x + width / 2, "0"],
        ["end", x + width, `${fixed(strongest, 2)}`],
      ] as const
    ).map(([anchor, at, text]) =>
      node("text", { x: at, y: y + 10 + TEXT_SIZE + 1, "text-anchor": anchor }, text),
    ),
    node("text", { x: x + width + 10, y: y + 9, "text-anchor": "start" }, "correlation"),
  );
}

function colourOf(value: number | null, strongest: number): [number, number, number, number] {
  if (value === null) return [...channels(COLOURS.grey), 60];
  const strength = Math.round(Math.min(1, Math.abs(value) / strongest) * STEPS) / STEPS;
  return [...channels(value > 0 ? COLOURS.vermillion : COLOURS.blue), Math.round(255 * strength)];
}
