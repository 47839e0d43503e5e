/**
 * Ascending order of positive float32 numbers: a radix sort over their bits (which order as the numbers do), with
 * where each came from. Several times faster than a comparison sort at the size of a cell, and small whole counts
 * differ in two of the four bytes only, so that half the passes fall away. Scratch memory is kept between calls.
 */
export class AscendingOrder {
  /** The numbers in ascending order; the first `length` hold. */
  sorted = new Float32Array(0);
  /** Where each of `sorted` was in the input; equal numbers keep their order. */
  indices = new Int32Array(0);
  /** How many numbers the last `sort` found. */
  length = 0;
  #keys = new Uint32Array(0);
  #otherKeys = new Uint32Array(0);
  #otherIndices = new Int32Array(0);
  readonly #starts = new Int32Array(4 * 256);

  /** Orders the numbers > 0 of `values`; the others (zeros, NaN) are left out. */
  sort(values: Float32Array): void {
    this.#reserve(values.length);
    this.length = this.#collect(values);
    for (let digit = 0; digit < 4; digit++) this.#pass(digit);
    this.sorted = new Float32Array(this.#keys.buffer);
  }

  #reserve(length: number): void {
    if (this.#keys.length >= length) return;
    const capacity = Math.max(256, length * 2);
    this.#keys = new Uint32Array(capacity);
    this.#otherKeys = new Uint32Array(capacity);
    this.indices = new Int32Array(capacity);
    this.#otherIndices = new Int32Array(capacity);
  }

  /** Copies the numbers > 0 and counts their bytes. */
  #collect(values: Float32Array): number {
    const numbers = new Float32Array(this.#keys.buffer);
    const keys = this.#keys;
    const histogram = this.#starts.fill(0);
    let length = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (!(value > 0)) continue;
      numbers[length] = value;
      this.indices[length] = i;
      const key = keys[length++] as number;
      for (let digit = 0; digit < 4; digit++) {
        const slot = 256 * digit + ((key >>> (8 * digit)) & 255);
        histogram[slot] = (histogram[slot] as number) + 1;
      }
    }
    return length;
  }

  /** One stable pass by a byte of the keys; none where all keys share it. */
  #pass(digit: number): void {
    const { length } = this;
    const keys = this.#keys;
    const indices = this.indices;
    const shift = 8 * digit;
    const starts = this.#starts.subarray(256 * digit, 256 * (digit + 1));
    if (length === 0 || starts[((keys[0] as number) >>> shift) & 255] === length) return;
    let start = 0;
    for (let byte = 0; byte < 256; byte++) {
      const count = starts[byte] as number;
      starts[byte] = start;
      start += count;
    }
    const otherKeys = this.#otherKeys;
    const otherIndices = this.#otherIndices;
    for (let i = 0; i < length; i++) {
      const key = keys[i] as number;
      const byte = (key >>> shift) & 255;
      const target = starts[byte] as number;
      starts[byte] = target + 1;
      otherKeys[target] = key;
      otherIndices[target] = indices[i] as number;
    }
    this.#keys = otherKeys;
    this.#otherKeys = keys;
    this.indices = otherIndices;
    this.#otherIndices = indices;
  }
}
