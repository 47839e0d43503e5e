/** Decodes JSON that others wrote, and tells what was in it. */
import { takeTurn } from "./turns.js";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
/** Levels of lists and objects within each other; what is read here has no more than ten. */
const MOST_LEVELS = 64;

/** A JSON object whose contents are not known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value is an object, and no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list of numbers. */
export function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/**
 * Decodes a JSON text, UTF-8. Throws a SyntaxError for anything else, and for lists and objects that are nested in more than 64
 * levels, which take the more memory the deeper they are.
 */
export function parseJson(bytes: Uint8Array): unknown {
  checkLevels(bytes);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/** As `parseJson`, with the event loop running in between. */
export async function parseJsonInTurns(bytes: Uint8Array): Promise<unknown> {
  await takeTurn();
  checkLevels(bytes);
  await takeTurn();
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/** The end of the string that begins at a quote: the place after its last quote. */
function stringEnd(bytes: Uint8Array, quote: number): number {
  let at = quote + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

function opens(byte: number | undefined): boolean {
  return byte === 0x5b || byte === 0x7b;
}

function closes(byte: number | undefined): boolean {
  return byte === 0x5d || byte === 0x7d;
}

function checkLevels(bytes: Uint8Array): void {
  let levels = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at];
    if (byte === QUOTE) at = stringEnd(bytes, at);
    else {
      at++;
      if (closes(byte)) levels--;
      else if (opens(byte) && ++levels > MOST_LEVELS)
        throw new SyntaxError(`lists and objects are nested in more than ${MOST_LEVELS} levels`);
    }
  }
}

/**
 * Tells the names of the outermost object of a text that `parseJson` has decoded one by one, those too that are given again, which
 * decoding hides.
 */
export function eachOutermostName(bytes: Uint8Array, eachName: (name: string) => void): void {
  const text = new TextDecoder();
  let levels = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at];
    if (byte !== QUOTE) {
      at++;
      if (opens(byte)) levels++;
      else if (closes(byte)) levels--;
      continue;
    }
    const end = stringEnd(bytes, at);
    let next = end;
    while ((bytes[next] ?? 0x21) <= 0x20) next++;
    if (levels === 1 && bytes[next] === COLON)
      eachName(JSON.parse(text.decode(bytes.subarray(at, end))) as string);
    at = end;
  }
}
