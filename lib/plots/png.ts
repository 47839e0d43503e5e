import { checkKind, checkOptions } from "../base/arguments.js";
import { checkWhole, wrongType } from "../base/errors.js";
import { Figure } from "./figure.js";
import { FONT_FAMILY, fontFiles, needsSystemFonts } from "./fonts.js";
import { type Theme, themed } from "./theme.js";

/** How a figure becomes pixels. */
export interface PngOptions {
  /** Pixels, 64 to 8,000; default twice the figure's own width, for sharp screens and print. */
  readonly width?: number;
  /** Default "light". */
  readonly theme?: Exclude<Theme, "css">;
}

/** Pixels of a picture. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, opacity, [height x width x 4]. */
  readonly rgba: Uint8Array;
}

/** Draws a figure as a PNG file's bytes; with the same letters on every machine, also on one without fonts. Throws `ARGUMENT_*`. */
export async function renderPng(figure: Figure, options: PngOptions = {}): Promise<Uint8Array> {
  return (await rendered(figure, options)).asPng();
}

/** Draws a figure as pixels. Throws `ARGUMENT_*`. */
export async function renderPixels(figure: Figure, options: PngOptions = {}): Promise<Pixels> {
  const { width, height, pixels } = await rendered(figure, options);
  return { width, height, rgba: pixels };
}

async function rendered(figure: Figure, options: PngOptions) {
  checkFigure("figure", figure);
  checkOptions(options);
  const { theme = "light" } = options;
  if (theme !== "light" && theme !== "dark") throw wrongType("theme", theme, '"light" or "dark"');
  const own = Number(/ width="(\d+(?:\.\d+)?)"/.exec(figure.svg)?.[1] ?? 640);
  const width = checkWhole("width", options.width ?? Math.round(2 * own), 64, 8000);
  const { renderAsync } = await import("@resvg/resvg-js");
  return await renderAsync(themed(figure.svg, theme), {
    fitTo: { mode: "width", value: width },
    font: {
      fontFiles: fontFiles(),
      loadSystemFonts: needsSystemFonts(figure.svg),
      defaultFontFamily: FONT_FAMILY,
      sansSerifFamily: FONT_FAMILY,
    },
    imageRendering: 1,
    logLevel: "off",
  });
}

/** Throws `ARGUMENT_TYPE` unless it is a figure. */
export function checkFigure(argument: string, figure: unknown): void {
  checkKind(argument, figure, "object");
  if (!(figure instanceof Figure)) throw wrongType(argument, figure, "a Figure");
}
