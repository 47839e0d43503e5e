import type { Animation } from "../figures.js";

/** Animations as lists of pieces, each of which is written once: frames differ in few of them. */
export interface Frames {
  readonly pieces: readonly string[];
  /** Numbers of the pieces of each frame. */
  readonly wide: readonly (readonly number[])[];
  readonly narrow: readonly (readonly number[])[];
}

/**
 * Takes the frames of an animation apart, after each tag.
 *
 * @param asShown a figure's SVG text as the page holds it
 */
export function framesOf({ wide, narrow }: Animation, asShown: (svg: string) => string): Frames {
  const numbers = new Map<string, number>();
  const numbered = (svg: string) =>
    asShown(svg)
      .split(/(?<=>)(?=<)/)
      .map((piece) => {
        const known = numbers.get(piece) ?? numbers.size;
        numbers.set(piece, known);
        return known;
      });
  const frames = {
    wide: wide.map(({ svg }) => numbered(svg)),
    narrow: narrow.map(({ svg }) => numbered(svg)),
  };
  return { pieces: [...numbers.keys()], ...frames };
}
