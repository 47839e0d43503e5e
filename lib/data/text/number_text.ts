const PLUS = 43;
const MINUS = 45;
const ZERO = 48;
/** Up to so many digits make a whole number that is exact. */
const EXACT_DIGITS = 15;

/**
 * The number written in bytes [start, end): decimal, with a sign, a fraction or an exponent; nan and inf in any case.
 * Undefined if it is none.
 */
export function numberAt(bytes: Buffer, start: number, end: number): number | undefined {
  const first = bytes[start];
  let at = first === MINUS || first === PLUS ? start + 1 : start;
  if (end - at > 0 && end - at <= EXACT_DIGITS) {
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === end) return first === MINUS ? -value : value;
  }
  const word = bytes.toString("latin1", start, end);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return Number(word);
  if (/^[+-]?nan$/i.test(word)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/i.test(word))
    return first === MINUS ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return undefined;
}
