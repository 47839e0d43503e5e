/** Numbers as a reader takes them in. */

const NONE = "\u2013";

export function number(value: number | null, digits = 4): string {
  return value === null ? NONE : value.toFixed(digits);
}

export function whole(value: number | null): string {
  return value === null ? NONE : value.toLocaleString("en");
}

/** 12345 -> "12.3k". */
export function short(value: number | null): string {
  if (value === null) return NONE;
  for (const [size, unit] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const)
    if (Math.abs(value) >= size) return `${(value / size).toFixed(1)}${unit}`;
  return value >= 10 || value === 0 ? value.toFixed(0) : value.toPrecision(2);
}

export function bytes(value: number): string {
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${(value / 2 ** 20).toFixed(0)} MiB`;
}

/** 61 -> "1 min 1 s". */
export function duration(seconds: number): string {
  const all = Math.round(seconds);
  if (all < 60) return `${all} s`;
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  const hours = Math.floor(all / 3600);
  if (hours < 48) return `${hours} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** When something was, as clocks here show it. */
export function time(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return NONE;
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}
