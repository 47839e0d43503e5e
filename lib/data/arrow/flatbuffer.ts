/** Bytes that are no flatbuffer of the kind expected; the caller says of which file. */
export class FlatbufferError extends Error {}

/**
 * A table of a flatbuffer, read with every offset checked: damaged or hostile bytes end in a `FlatbufferError`, and nothing
 * is set aside for what they merely claim.
 */
export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #fields: number;
  readonly #fieldsEnd: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#need(at, 4);
    this.#fields = at - view.getInt32(at, true);
    this.#need(this.#fields, 4);
    this.#fieldsEnd = this.#fields + view.getUint16(this.#fields, true);
    this.#need(this.#fields, this.#fieldsEnd - this.#fields);
  }

  /** The table a buffer begins with. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 8) throw new FlatbufferError("it is too short");
    return new FlatTable(view, view.getUint32(0, true));
  }

  uint8(slot: number, otherwise = 0): number {
    const at = this.#field(slot, 1);
    return at === 0 ? otherwise : this.#view.getUint8(at);
  }

  int16(slot: number, otherwise = 0): number {
    const at = this.#field(slot, 2);
    return at === 0 ? otherwise : this.#view.getInt16(at, true);
  }

  int32(slot: number, otherwise = 0): number {
    const at = this.#field(slot, 4);
    return at === 0 ? otherwise : this.#view.getInt32(at, true);
  }

  /** A whole number from 0 to 2^53 - 1. */
  natural(slot: number): number {
    const at = this.#field(slot, 8);
    return at === 0 ? 0 : naturalAt(this.#view, at);
  }

  text(slot: number): string {
    const place = this.#vector(slot, 1);
    const { buffer, byteOffset } = this.#view;
    return place === undefined
      ? ""
      : Buffer.from(buffer, byteOffset + place.at, place.length).toString("utf8");
  }

  table(slot: number): FlatTable | undefined {
    const at = this.#field(slot, 4);
    return at === 0 ? undefined : new FlatTable(this.#view, at + this.#view.getUint32(at, true));
  }

  tables(slot: number): FlatTable[] {
    const place = this.#vector(slot, 4);
    return Array.from({ length: place?.length ?? 0 }, (_, i) => {
      const at = (place?.at ?? 0) + 4 * i;
      return new FlatTable(this.#view, at + this.#view.getUint32(at, true));
    });
  }

  /** Structs of two whole numbers of 64 bits. */
  pairs(slot: number): readonly (readonly [number, number])[] {
    const place = this.#vector(slot, 16);
    return Array.from({ length: place?.length ?? 0 }, (_, i) => {
      const at = (place?.at ?? 0) + 16 * i;
      return [naturalAt(this.#view, at), naturalAt(this.#view, at + 8)] as const;
    });
  }

  /** Place of a field; 0 where it is left out. */
  #field(slot: number, bytes: number): number {
    const entry = this.#fields + 4 + 2 * slot;
    if (entry + 2 > this.#fieldsEnd) return 0;
    const offset = this.#view.getUint16(entry, true);
    if (offset === 0) return 0;
    this.#need(this.#at + offset, bytes);
    return this.#at + offset;
  }

  #vector(slot: number, elementBytes: number): { at: number; length: number } | undefined {
    const field = this.#field(slot, 4);
    if (field === 0) return undefined;
    const at = field + this.#view.getUint32(field, true);
    this.#need(at, 4);
    const length = this.#view.getUint32(at, true);
    this.#need(at + 4, length * elementBytes);
    return { at: at + 4, length };
  }

  #need(at: number, bytes: number): void {
    if (at < 0 || at + bytes > this.#view.byteLength)
      throw new FlatbufferError("it refers to bytes outside itself");
  }
}

function naturalAt(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
  if (!Number.isSafeInteger(value) || value < 0) throw new FlatbufferError("a length is out of range");
  return value;
}
