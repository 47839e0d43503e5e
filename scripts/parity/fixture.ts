import { DdscError } from "../../lib/base/errors.js";
import type { SafetensorsFile } from "../../lib/model/safetensors.js";

/** `PARITY_FORMAT`: the file is sound but no fixture. */
export function notAFixture(file: string, problem: string): DdscError {
  return new DdscError("PARITY_FORMAT", `${file}: ${problem}; expected a fixture of the reference`, { file });
}

/** Reads tensors of a fixture, checking that they have the length that the others imply. */
export class Fixture {
  readonly #source: SafetensorsFile;

  constructor(source: SafetensorsFile) {
    this.#source = source;
  }

  get file(): string {
    return this.#source.file;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.#source.metadata;
  }

  has(name: string): boolean {
    return this.#source.tensors.has(name);
  }

  /** Names of tensors that begin so, in the file's order. */
  names(prefix: string): string[] {
    return [...this.#source.tensors.keys()].filter((name) => name.startsWith(prefix));
  }

  /** Lengths of a tensor's dimensions, of which there are `rank`. */
  shape<const R extends number>(name: string, rank: R): readonly number[] & { readonly length: R } {
    const shape = this.#source.tensors.get(name)?.shape;
    if (shape !== undefined && hasLength(shape, rank)) return shape;
    throw notAFixture(this.file, `it holds no tensor "${name}" of ${rank} dimensions`);
  }

  async floats(name: string, length?: number): Promise<Float32Array> {
    return this.#checked(name, await this.#source.read(name), length);
  }

  /** As float64, whatever the tensor's own type. */
  async doubles(name: string, length?: number): Promise<Float64Array> {
    const values = Float64Array.from(await this.#source.readDoubles(name));
    return this.#checked(name, values, length);
  }

  async integers(name: string, length?: number): Promise<Int32Array> {
    return this.#checked(name, await this.#source.readIntegers(name), length);
  }

  #checked<T extends Float32Array | Float64Array | Int32Array>(
    name: string,
    values: T,
    length = values.length,
  ): T {
    if (values.length === length) return values;
    throw notAFixture(this.file, `tensor "${name}" has ${values.length} values instead of ${length}`);
  }
}

function hasLength<const R extends number>(
  shape: readonly number[],
  rank: R,
): shape is readonly number[] & { readonly length: R } {
  return shape.length === rank;
}
