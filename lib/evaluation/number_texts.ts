import type { Interval } from "./counts/bootstrap.js";
import { FEW_CELLS } from "./defaults.js";

/** What stands below a table with marked groups. */
export const FEW_NOTE = `! fewer than ${FEW_CELLS} cells: too few to conclude from`;

/** A number; "-" where there is none. */
export function numberText(value: number | null | undefined, digits: number): string {
  return value?.toFixed(digits) ?? "-";
}

/** "0.1981 (0.1938-0.2026)", "0.012 (-0.004 to 0.028)". */
export function intervalText({ value, low, high }: Interval, digits: number): string {
  const separator = low < 0 || high < 0 ? " to " : "-";
  return `${value.toFixed(digits)} (${low.toFixed(digits)}${separator}${high.toFixed(digits)})`;
}
