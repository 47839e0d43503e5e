/** Text in figures: how wide it is, roughly, and how it is made to fit. */
import { printable } from "../base/printable.js";

/** Characters of a name out of a file that are shown at most. */
const LONGEST_NAME = 200;

/** Widths in ems of a sans-serif face, somewhat generous: which face a reader has is not known. */
const NARROW = /[ijlI.,:;'|!()[\]{}\s]/;
const WIDE = /[mwMW@%—…]/;
const CAPITAL = /[A-Z0-9_~+=<>&#$?]/;

/** A name out of a file in one line, without what does something to a page or terminal, and cut where it is very long. */
export function nameText(name: string): string {
  const text = [...printable(name.slice(0, 4 * LONGEST_NAME))];
  return text.length <= LONGEST_NAME && name.length <= 4 * LONGEST_NAME
    ? text.join("")
    : `${text.slice(0, LONGEST_NAME - 1).join("")}…`;
}

/** Width of a text, about, in pixels. */
export function textWidth(text: string, size: number, isBold = false): number {
  let ems = 0;
  for (const character of text) ems += characterWidth(character);
  return ems * size * (isBold ? 1.06 : 1);
}

function characterWidth(character: string): number {
  if (NARROW.test(character)) return 0.31;
  if (WIDE.test(character)) return 0.9;
  // Scripts of the Far East, and pictures.
  if ((character.codePointAt(0) as number) >= 0x2e80) return 1.05;
  return CAPITAL.test(character) ? 0.65 : 0.55;
}

/** The text, cut to a width in pixels, with an ellipsis where something is missing. */
export function fitText(text: string, width: number, size: number): string {
  if (textWidth(text, size) <= width) return text;
  let fits = "";
  let used = textWidth("…", size);
  for (const character of text) {
    used += characterWidth(character) * size;
    if (used > width) break;
    fits += character;
  }
  return `${fits.trimEnd()}…`;
}

/** The text in lines of a width in pixels, at most `most` of them; words that are wider are cut. */
export function wrapText(text: string, width: number, size: number, most = 12, isBold = false): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`, size, isBold) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(fitText(word, width, size * (isBold ? 1.06 : 1)));
  }
  if (lines.length <= most) return lines;
  const rest = lines.slice(most - 1).join(" ");
  return [...lines.slice(0, most - 1), fitText(rest, width, size * (isBold ? 1.06 : 1))];
}
