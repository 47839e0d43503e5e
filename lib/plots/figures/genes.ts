import { checkKind } from "../../base/arguments.js";
import { drawFigure, type Panel, widthOf } from "../drawing.js";
import type { Figure } from "../figure.js";
import type { GeneNats, PlotOptions } from "../inputs.js";
import { counted, finite, fixed, nothingToDraw } from "../numbers.js";
import { COLOURS } from "../palette.js";
import { rowsDomain, rowsPanel } from "../rows.js";
import { nameText } from "../text.js";

/** Genes that are drawn at each end. */
const SHOWN = 15;

/**
 * The genes that the model predicts best and worst beside their own marginal: nats a hidden count of the model less the marginal's.
 * Below 0 the model knows the gene from the others. Throws `PLOT_EMPTY` without genes, `ARGUMENT_*`.
 */
export function genesFigure(rows: readonly GeneNats[], options: PlotOptions = {}): Figure {
  checkKind("rows", rows, "list");
  const genes = rows
    .flatMap(({ gene, model, baseline, expressed }, i) => {
      checkKind(`rows[${i}].gene`, gene, "text");
      const [nats, marginal] = [finite(model), finite(baseline)];
      if (nats === null || marginal === null) return [];
      return [
        {
          gene: nameText(gene),
          model: nats,
          baseline: marginal,
          expressed: finite(expressed),
          more: nats - marginal,
        },
      ];
    })
    .sort((a, b) => a.more - b.more);
  const [best, worst] = [genes[0], genes.at(-1)];
  if (best === undefined || worst === undefined) {
    throw nothingToDraw("no gene has nats", "score the model on cells with hidden genes");
  }
  const better = genes.filter(({ more }) => more < 0).length;
  const ends =
    genes.length <= 2 * SHOWN
      ? [{ title: "All genes, best predicted first", shown: genes }]
      : [
          { title: `The ${SHOWN} best predicted`, shown: genes.slice(0, SHOWN) },
          { title: `The ${SHOWN} worst predicted`, shown: genes.slice(-SHOWN).reverse() },
        ];
  const wide = widthOf(options) >= 520 && ends.length === 2;
  const panels = ends.map(({ title, shown }): Panel => {
    const drawn = shown.map(({ gene, more, expressed }) => ({
      label: expressed === null ? gene : `${gene} (${expressed.toLocaleString("en-US")})`,
      estimates: [
        {
          value: more,
          low: null,
          high: null,
          colour: more < 0 ? COLOURS.blue : COLOURS.vermillion,
          isBar: true,
        },
      ],
    }));
    const domain = rowsDomain(drawn, 0);
    return rowsPanel({
      ...{ rows: drawn, title, reference: 0, rowHeight: 20 },
      xLabel: "nats, model less marginal",
      ...(domain === undefined ? {} : { domain }),
    });
  });
  return drawFigure(
    {
      name: "genes",
      title: "Which genes does the model know from the others, and which does it get wrong?",
      description:
        `Of ${counted(genes.length, "gene")} the model predicts ${better} better than their own distribution over cells does. ` +
        `Best: ${best.gene}, ${fixed(best.more, 4)} nats; worst: ${worst.gene}, ${fixed(worst.more, 4)} nats.`,
      table: {
        columns: [
          "gene",
          "model (nats a hidden count)",
          "marginal",
          "model less marginal",
          "hidden counts above 0",
        ],
        rows: genes.map(({ gene, model, baseline, more, expressed }) => [
          gene,
          model,
          baseline,
          more,
          expressed,
        ]),
      },
      panels,
      columns: wide ? 2 : 1,
      note: "Left of 0 the model is better than the gene's own distribution over cells. In brackets how many hidden counts above 0 there were. The two axes may differ.",
    },
    options,
  );
}
