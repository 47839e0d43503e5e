import { describe, expect, it } from "vitest";
import { Purpose, philox, RandomStream } from "../../lib/base/random.js";

const hex = (words: Uint32Array): string[] => [...words].map((word) => word.toString(16).padStart(8, "0"));

describe("philox", () => {
  // Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
  it("gives the published answer for a counter and key of zeros", () => {
    expect(hex(philox(0, 0, 0, 0, 0, 0))).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
  });

  it("gives the published answer for a counter and key of ones", () => {
    const ones = 0xffffffff;
    expect(hex(philox(ones, ones, ones, ones, ones, ones))).toEqual([
      "408f276d",
      "41c83b0e",
      "a20bc7c6",
      "6d5451fd",
    ]);
  });

  it("gives the published answer for the digits of pi", () => {
    expect(hex(philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0))).toEqual([
      "d16cfe09",
      "94fdcceb",
      "5001e420",
      "24126ea1",
    ]);
  });

  it("writes into the array it is given", () => {
    const out = new Uint32Array(4);
    expect(philox(1, 2, 3, 4, 5, 6, out)).toBe(out);
    expect(hex(out)).toEqual(hex(philox(1, 2, 3, 4, 5, 6)));
  });
});

describe("a random stream", () => {
  const firstWords = (stream: RandomStream, count: number): Uint32Array =>
    Uint32Array.from({ length: count }, () => stream.word());

  // test/native/core/random_test.cpp checks the same names against the same words.
  it("lays out counter and key as native/core/random.h does", () => {
    const seed = 0x1a2b3c4d5e6f7;
    const step = 0x123456789ab;
    const cell = 0x9876543210a;
    const stream = new RandomStream(seed, Purpose.draw, step, cell);
    const key0 = 0xc4d5e6f7;
    const key1 = 0x0001a2b3;
    const last = 4 * 2 ** 24 + 0x987 * 2 ** 12 + 0x123;
    const words = firstWords(stream, 12);
    for (let position = 0; position < 3; position++) {
      const block = philox(position, 0x6543210a, 0x456789ab, last, key0, key1);
      expect(hex(words.subarray(4 * position, 4 * position + 4))).toEqual(hex(block));
    }
    expect(hex(words.subarray(0, 4))).toEqual(["cf017473", "35f46c66", "1568ed31", "caca4df6"]);
  });

  it("does not meet the stream of another purpose, step, cell or seed", () => {
    const base = hex(firstWords(new RandomStream(7, Purpose.mask, 3, 5), 4));
    for (const other of [
      new RandomStream(8, Purpose.mask, 3, 5),
      new RandomStream(7 + 2 ** 40, Purpose.mask, 3, 5),
      new RandomStream(7, Purpose.draw, 3, 5),
      new RandomStream(7, Purpose.mask, 4, 5),
      new RandomStream(7, Purpose.mask, 3 + 2 ** 40, 5),
      new RandomStream(7, Purpose.mask, 3, 6),
      new RandomStream(7, Purpose.mask, 3, 5 + 2 ** 40),
      new RandomStream(7, Purpose.mask, 5, 3),
    ]) {
      expect(hex(firstWords(other, 4))).not.toEqual(base);
    }
  });

  it("makes a uniform of the upper 53 bits of two words", () => {
    const words = firstWords(new RandomStream(11, Purpose.time), 2);
    const [high, low] = [words[0]! >>> 5, words[1]! >>> 6];
    expect(new RandomStream(11, Purpose.time).uniform()).toBe((high * 2 ** 26 + low) / 2 ** 53);
  });

  it("draws every number below a bound equally often", () => {
    const stream = new RandomStream(12, Purpose.shuffle);
    const counts = new Float64Array(7);
    const draws = 70_000;
    for (let i = 0; i < draws; i++) counts[stream.below(7)]! += 1;
    const expected = draws / 7;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).toBeLessThan(22.5); // 0.1 % point of chi-square with 6 degrees of freedom
  });

  it("draws normals of mean 0 and variance 1", () => {
    const stream = new RandomStream(13, Purpose.simulate);
    const draws = 40_000;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < draws; i++) {
      const value = stream.normal();
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / draws)).toBeLessThan(4 / Math.sqrt(draws));
    expect(Math.abs(squares / draws - 1)).toBeLessThan(4 * Math.sqrt(2 / draws));
  });

  it("shuffles to a permutation that the seed alone decides", () => {
    const shuffled = (seed: number): number[] => [
      ...new RandomStream(seed, Purpose.shuffle).shuffle(Int32Array.from({ length: 50 }, (_, i) => i)),
    ];
    const once = shuffled(1);
    expect([...once].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(shuffled(1)).toEqual(once);
    expect(shuffled(2)).not.toEqual(once);
  });
});
