import { createHash } from "node:crypto";
import type { FileIdentity } from "../io/random_access.js";

/** As `Identities`, structured-clonable. */
export interface PackedIdentities {
  /** Lengths, -1 of a file not seen yet, [files]. */
  readonly sizes: Float64Array;
  /** A hash of ETag and one of date, 0 where it is not known, [files, 2]. */
  readonly hashes: Uint32Array;
}

/** The identities of many files: 16 bytes a file. */
export class Identities {
  readonly #sizes: Float64Array;
  readonly #hashes: Uint32Array;

  constructor({ sizes, hashes }: PackedIdentities) {
    this.#sizes = sizes;
    this.#hashes = hashes;
  }

  /** Of so many files, of which nothing is known. */
  static unknown(files: number): Identities {
    return new Identities({ sizes: new Float64Array(files).fill(-1), hashes: new Uint32Array(2 * files) });
  }

  /** Whether a file is as it was as far as is known, which this adds to. */
  isSame(file: number, { size, etag, modified }: FileIdentity): boolean {
    const known = this.#sizes[file] ?? -1;
    if (known >= 0 && known !== size) return false;
    // Memory that processes share is left alone where it need not change, here as below.
    if (known < 0) this.#sizes[file] = size;
    return [etag, modified].every((text, i) => {
      const hash = text === null ? 0 : hashOf(text);
      const before = this.#hashes[2 * file + i] ?? 0;
      if (before === 0 && hash !== 0) this.#hashes[2 * file + i] = hash;
      return before === 0 || hash === 0 || before === hash;
    });
  }

  /** Takes in what others know of the same files, where nothing is known here. */
  add({ sizes, hashes }: PackedIdentities): void {
    for (const [file, size] of sizes.entries()) {
      if (size < 0) continue;
      if (this.#sizes[file] !== size) this.#sizes[file] = size;
      for (let i = 2 * file; i < 2 * file + 2; i++)
        if ((this.#hashes[i] ?? 0) === 0 && hashes[i] !== 0) this.#hashes[i] = hashes[i] ?? 0;
    }
  }

  packed(): PackedIdentities {
    return { sizes: this.#sizes, hashes: this.#hashes };
  }
}

/** Never 0. */
function hashOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32LE() || 1;
}
