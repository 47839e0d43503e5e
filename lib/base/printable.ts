import { withoutSecrets } from "./secrets.js";

/**
 * What does something to a terminal, or to how its lines read, rather than being read: controls (C0, C1, so escape sequences),
 * separators of lines, marks that turn the direction of text around (https://trojansource.codes), what is invisible (byte order
 * marks, tags, deprecated format characters, zero-width spaces), and halves of surrogate pairs.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\u206a-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/**
 * Text in one line that does nothing to a terminal: names out of files may hold anything. What could is written as escapes. Of
 * addresses, passwords and signatures are left out.
 */
export function printable(text: string): string {
  return withoutSecrets(text).replaceAll(UNPRINTABLE, (character) =>
    character === "\n" ? "\\n" : escaped(character),
  );
}

/** A value as JSON that does nothing to a terminal either; it reads back as the same value, but for secrets of addresses. */
export function printableJson(value: unknown): string {
  return withoutSecrets(JSON.stringify(value)).replaceAll(UNPRINTABLE, escaped);
}

/** `\u001b`, in UTF-16 units as JSON has them. */
function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  ).join("");
}
