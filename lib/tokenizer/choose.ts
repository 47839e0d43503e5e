import type { RandomStream } from "../base/random.js";

/**
 * Draws `count` of the places 0..total-1 without replacement, every set equally likely, by a Fisher-Yates
 * shuffle that stops when enough are drawn. One draw of the stream for each place chosen or left out, whichever
 * are fewer.
 * @returns the chosen places, ascending, [count].
 */
export function chooseWithoutReplacement(total: number, count: number, random: RandomStream): Int32Array {
  const leaveOut = count > total / 2;
  const draws = leaveOut ? total - count : count;
  const places = Int32Array.from({ length: total }, (_, place) => place);
  const drawn = new Uint8Array(total);
  for (let i = 0; i < draws; i++) {
    const j = i + random.below(total - i);
    const place = places[j] as number;
    places[j] = places[i] as number;
    drawn[place] = 1;
  }
  const chosen = new Int32Array(count);
  const wanted = leaveOut ? 0 : 1;
  let found = 0;
  for (let place = 0; place < total; place++) if (drawn[place] === wanted) chosen[found++] = place;
  return chosen;
}
