/**
 * A quantile by linear interpolation between order statistics, as NumPy's default; NaN of no value.
 * @param count number of values
 * @param at the place-th lowest of them
 * @param share 0..1
 */
export function quantile(count: number, at: (place: number) => number, share: number): number {
  if (count === 0) return Number.NaN;
  const place = share * (count - 1);
  const low = at(Math.floor(place));
  return low + (place - Math.floor(place)) * (at(Math.ceil(place)) - low);
}
