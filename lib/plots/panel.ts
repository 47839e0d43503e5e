/** Panels that Observable Plot draws. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { type Panel, TEXT_SIZE } from "./drawing.js";
import { type DocumentNode, fromDocument, node, type SvgNode } from "./markup.js";
import { COLOURS } from "./palette.js";

/** A plot of some height as a panel; its axes say what they mean in words, with units. */
export function plotPanel(
  height: number,
  options: Plot.PlotOptions | ((width: number) => Plot.PlotOptions),
  title?: string,
): Panel {
  return {
    ...(title === undefined ? {} : { title }),
    height,
    draw: (width) =>
      drawPlot({ ...(typeof options === "function" ? options(width) : options), width, height }),
  };
}

function drawPlot(options: Plot.PlotOptions): SvgNode {
  const { document } = parseHTML("<html></html>");
  const plain = { labelArrow: "none" } as const;
  const drawn = Plot.plot({
    marginTop: 26,
    marginRight: 14,
    marginBottom: 42,
    marginLeft: 52,
    ...options,
    x: { ...plain, labelAnchor: "center", labelOffset: 36, ...options.x },
    y: { ...plain, ...options.y },
    document: document as never,
  }) as unknown as DocumentNode;
  const { children } = fromDocument(drawn, COLOURS.ink);
  return node(
    "g",
    { "font-size": TEXT_SIZE, "text-anchor": "middle", fill: COLOURS.ink },
    // Without the style sheet, which gives white space and sizes to pages alone.
    ...children,
  );
}
