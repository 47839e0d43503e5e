/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC'11), the same streams as native/core/random.h. Key = seed; counter = (purpose, step, cell, position).
 */

/** What a stream is for; streams of different purposes never meet. The values are shared with native/core/random.h. */
export const Purpose = {
  initialise: 1,
  mask: 2,
  dropout: 3,
  draw: 4,
  time: 5,
  geneSample: 6,
  shuffle: 7,
  split: 8,
  simulate: 9,
  reveal: 10,
  hide: 11,
  query: 12,
  thin: 13,
  drop: 14,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

function high32(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const other = (middle & 0xffff) + al * bh;
  return (ah * bh + Math.floor(middle / 65536) + Math.floor(other / 65536)) >>> 0;
}

/** The four 32-bit words of one Philox4x32-10 block for a counter and a key, written to `out`. */
export function philox(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  key0: number,
  key1: number,
  out: Uint32Array = new Uint32Array(4),
): Uint32Array {
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  let x0 = c0 >>> 0;
  let x1 = c1 >>> 0;
  let x2 = c2 >>> 0;
  let x3 = c3 >>> 0;
  for (let round = 0; round < 10; round++) {
    const h0 = high32(M0, x0);
    const l0 = Math.imul(M0, x0) >>> 0;
    const h1 = high32(M1, x2);
    const l1 = Math.imul(M1, x2) >>> 0;
    x0 = (h1 ^ x1 ^ k0) >>> 0;
    x1 = l1;
    x2 = (h0 ^ x3 ^ k1) >>> 0;
    x3 = l0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
  return out;
}

/** Block at a position asked for out of turn; read before anything else can write it. */
const elsewhere = new Uint32Array(4);

/** Uniform in [0, 1) with 53 bits, from two words. */
function uniform53(a: number, b: number): number {
  return ((a >>> 5) * 67108864 + (b >>> 6)) / 9007199254740992;
}

/**
 * One stream of random numbers: seed (a whole number below 2^53), purpose, step (e.g. epoch) and cell. Position
 * counts up by itself, so a stream is a pure function of its four names.
 *
 * Counter layout (shared with native/core/random.h): word 0 = position, word 1 = cell (low 32 bits),
 * word 2 = step (low 32 bits), word 3 = purpose << 24 | (cell bits 32..43) << 12 | (step bits 32..43).
 */
export class RandomStream {
  readonly #key0: number;
  readonly #key1: number;
  readonly #c1: number;
  readonly #c2: number;
  readonly #c3: number;
  readonly #block = new Uint32Array(4);
  #position = 0;
  #used = 4;

  constructor(seed: number, purpose: Purpose, step = 0, cell = 0) {
    this.#key0 = seed >>> 0;
    this.#key1 = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c1 = cell >>> 0;
    this.#c2 = step >>> 0;
    const cellHigh = Math.floor(cell / 2 ** 32) & 0xfff;
    const stepHigh = Math.floor(step / 2 ** 32) & 0xfff;
    this.#c3 = ((purpose << 24) | (cellHigh << 12) | stepHigh) >>> 0;
  }

  /** Next 32 random bits. */
  word(): number {
    if (this.#used === 4) {
      philox(this.#position++, this.#c1, this.#c2, this.#c3, this.#key0, this.#key1, this.#block);
      this.#used = 0;
    }
    return this.#block[this.#used++] as number;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const first = this.word();
    return uniform53(first, this.word());
  }

  /** Word 0 at a position of the stream, which stays where it is: what decides whether a token is masked. */
  wordAt(position: number): number {
    return this.#blockAt(position)[0] as number;
  }

  /** Uniform in [0, 1) at a position of the stream, which stays where it is: what native draws use for a token. */
  uniformAt(position: number): number {
    const block = this.#blockAt(position);
    return uniform53(block[0] as number, block[1] as number);
  }

  /** Whole number in [0, bound), exactly uniform; bound at most 2^32. */
  below(bound: number): number {
    const limit = 4294967296 - (4294967296 % bound);
    for (;;) {
      const word = this.word();
      if (word < limit) return word % bound;
    }
  }

  /** Standard normal (Box-Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles `items` in place (Fisher-Yates) and returns them. */
  shuffle<T extends Int32Array | Float64Array | Uint32Array>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = items[i] as number;
      items[i] = items[j] as number;
      items[j] = held;
    }
    return items;
  }

  #blockAt(position: number): Uint32Array {
    return philox(position, this.#c1, this.#c2, this.#c3, this.#key0, this.#key1, elsewhere);
  }
}
