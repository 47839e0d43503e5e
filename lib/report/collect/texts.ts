import { DdscError } from "../../base/errors.js";
import { printable } from "../../base/printable.js";
import type { Part } from "../report_data.js";

/** Characters of a name that a report shows, at most: names out of files may be of any length. */
export const NAME_CHARACTERS = 48;
/** The same of a message or a path. */
export const TEXT_CHARACTERS = 400;

/** Text in one line that does nothing to a terminal or a page, cut where it is longer. */
export function clip(text: string, most: number = TEXT_CHARACTERS): string {
  // What is cut off need not be looked at; half of a character is written as an escape.
  const some = printable(text.length > 4 * most ? text.slice(0, 4 * most) : text);
  return some.length > most ? `${some.slice(0, most - 3).replace(/[\ud800-\udbff]$/, "")}...` : some;
}

/** Shows names: the same one for the same name, different ones for different names, however long they are. */
export class ShownNames {
  readonly #shown = new Map<string, string>();
  readonly #used = new Set<string>();

  of(name: string): string {
    const known = this.#shown.get(name);
    if (known !== undefined) return known;
    const clipped = clip(name, NAME_CHARACTERS);
    let shown = clipped;
    for (let number = 2; this.#used.has(shown); number++) shown = `${clipped} (${number})`;
    this.#used.add(shown);
    this.#shown.set(name, shown);
    return shown;
  }
}

/** What something gives, or why it could not be made: a report says so and goes on. The signal's reason and defects are thrown. */
export async function attempt<T>(make: () => Promise<T>, signal?: AbortSignal): Promise<Part<T>> {
  try {
    return { made: await make() };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DdscError && error.code !== "INTERNAL") return { missing: clip(error.message) };
    throw error;
  }
}
