const PLUS = 43;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
/** Up to so many digits make a whole number that is exact; divided by an exact power of ten it is rounded once, as it must be. */
export const EXACT_DIGITS = 15;
const POWERS = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);

/**
 * The number that a text is: decimal, with a sign, a fraction or an exponent; nan and inf in any case. Undefined if it is
 * none.
 */
export function parseNumber(text: string): number | undefined {
  const { length } = text;
  const first = text.charCodeAt(0);
  const start = first === MINUS || first === PLUS ? 1 : 0;
  if (length === start || length - start > EXACT_DIGITS) return parseUnusual(text);
  let value = 0;
  let point = length;
  for (let at = start; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code >= ZERO && code < ZERO + 10) value = value * 10 + code - ZERO;
    else if (code === POINT && point === length && at > start) point = at + 1;
    else return parseUnusual(text);
  }
  if (point < length) value /= POWERS[length - point] as number;
  return first === MINUS ? -value : value;
}

function parseUnusual(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  if (/^[+-]?inf(inity)?$/i.test(text))
    return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return undefined;
}
