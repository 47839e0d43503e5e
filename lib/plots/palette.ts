/**
 * The colours of all figures, on light and on dark ground. Figures are drawn with the light ones, `themed` changes them. Data have the
 * colours of Okabe and Ito, which the colour-blind tell apart; what colour alone would say is said by place, shape or number, too.
 */
export const PALETTE = {
  ground: { light: "#ffffff", dark: "#15181d" },
  ink: { light: "#1b1b1b", dark: "#e9eaec" },
  muted: { light: "#595b60", dark: "#aeb3ba" },
  faint: { light: "#c9ccd1", dark: "#4b5058" },
  blue: { light: "#0072b2", dark: "#4fb0ee" },
  vermillion: { light: "#d55e00", dark: "#ff8a3d" },
  green: { light: "#009e73", dark: "#35c89c" },
  purple: { light: "#cc79a7", dark: "#e8a3c8" },
  orange: { light: "#e69f00", dark: "#f5bd41" },
  sky: { light: "#56b4e9", dark: "#a3dbff" },
  brown: { light: "#7a4b12", dark: "#c9975a" },
  yellow: { light: "#b3a500", dark: "#f0e442" },
  grey: { light: "#7f848c", dark: "#8d939c" },
} as const;

/** Name of a colour. */
export type ColourName = keyof typeof PALETTE;

/** The colours that figures are drawn with. */
export const COLOURS = Object.fromEntries(
  Object.entries(PALETTE).map(([name, { light }]) => [name, light]),
) as { readonly [Name in ColourName]: string };

/** Colours of kinds of things without an order, such as types of cells. */
export const CATEGORIES: readonly string[] = (
  ["blue", "vermillion", "green", "purple", "orange", "sky", "brown", "yellow"] as const
).map((name) => COLOURS[name]);

/** Red, green and blue of a colour as `#rrggbb`, 0..255. */
export function channels(colour: string): readonly [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
