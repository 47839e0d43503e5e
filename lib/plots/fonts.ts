import { createRequire } from "node:module";

/** The face that PNGs and GIFs are drawn with, which comes with the package, so that they are the same everywhere. */
export const FONT_FAMILY = "Atkinson Hyperlegible";

const FACES = ["400Regular", "700Bold"] as const;

/** Letters that the face has: those of Latin script and common signs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII from its beginning
const COVERED = /^[\u0000-\u024f\u2010-\u2026\u2032\u2033\u2212\u00d7\ufffd]*$/;

/** Files of the face. */
export function fontFiles(): string[] {
  const { resolve } = createRequire(import.meta.url);
  return FACES.map((face) =>
    resolve(`@expo-google-fonts/atkinson-hyperlegible/${face}/AtkinsonHyperlegible_${face}.ttf`),
  );
}

/** Whether the machine's own fonts are needed, too: for names in other scripts. Looking for them takes a while. */
export function needsSystemFonts(text: string): boolean {
  return !COVERED.test(text);
}
