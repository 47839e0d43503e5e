import { checkChoice } from "../base/errors.js";
import { type ColourName, PALETTE } from "./palette.js";

const THEMES: readonly Theme[] = ["light", "dark", "css"];
/** Which colours a figure has; `css`: those of the page's style sheet, as custom properties with the light ones as fallback. */
export type Theme = "light" | "dark" | "css";

const NAMES: ReadonlyMap<string, ColourName> = new Map(
  Object.entries(PALETTE).map(([name, { light }]) => [light, name as ColourName]),
);

/** Colours stand in attributes alone; in texts, quotes are written as entities. */
const COLOUR_ATTRIBUTE = /="(#[0-9a-f]{6})"/g;

/**
 * A figure's SVG text in the colours of a theme. `css` is for pages whose style sheet sets `--ddsc-ink`, `--ddsc-ground`,
 * `--ddsc-blue` and so on: `themeProperties` makes those. Throws `ARGUMENT_CHOICE`.
 */
export function themed(svg: string, theme: Theme): string {
  if (checkChoice("theme", theme, THEMES) === "light") return svg;
  return svg.replaceAll(COLOUR_ATTRIBUTE, (attribute, colour: string) => {
    const name = NAMES.get(colour);
    if (name === undefined) return attribute;
    return theme === "dark" ? `="${PALETTE[name].dark}"` : `="var(--ddsc-${name}, ${colour})"`;
  });
}

/** The declarations of a style sheet that give figures of the theme `css` their light or dark colours. Throws `ARGUMENT_CHOICE`. */
export function themeProperties(theme: "light" | "dark"): string {
  checkChoice("theme", theme, ["light", "dark"]);
  return Object.entries(PALETTE)
    .map(([name, colours]) => `--ddsc-${name}: ${colours[theme]};`)
    .join(" ");
}
