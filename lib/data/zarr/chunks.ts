/** Chunks are kept while they hold no more than this together, bytes. */
const CACHE_BYTES = 64 << 20;

/** The chunks of arrays that were decoded last. */
export class ChunkCache {
  readonly #chunks = new Map<string, { readonly value: Promise<unknown>; readonly bytes: number }>();
  #bytes = 0;

  /** The chunk called `key`, of about so many bytes; `decode` makes it if it is not here. */
  async get<T>(key: string, bytes: number, decode: () => Promise<T>): Promise<T> {
    const held = this.#chunks.get(key);
    const value = (held?.value as Promise<T> | undefined) ?? decode();
    this.#remove(key);
    // The newest is kept, however large: neighbouring rows are in the same chunk.
    this.#chunks.set(key, { value, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#chunks.keys()) {
      if (this.#bytes <= CACHE_BYTES || oldest === key) break;
      this.#remove(oldest);
    }
    try {
      return await value;
    } catch (error) {
      this.#remove(key);
      throw error;
    }
  }

  /** Forgets all chunks. */
  clear(): void {
    this.#chunks.clear();
    this.#bytes = 0;
  }

  #remove(key: string): void {
    this.#bytes -= this.#chunks.get(key)?.bytes ?? 0;
    this.#chunks.delete(key);
  }
}
