import { DdscError } from "../base/errors.js";
import { alone, type Cluster } from "../cluster/cluster.js";

/**
 * What this rank works on of `count` things that are shared out, such as cells: neighbours, as equal in number as can be. What ranks
 * found is exchanged value by value, not added up: sums are then taken by each rank of the same values in the same order, and have the
 * same bits for any number of ranks.
 */
export class RankShare {
  readonly #cluster: Cluster;
  readonly count: number;
  /** Its own: first .. end - 1. */
  readonly first: number;
  readonly end: number;

  constructor(count: number, cluster: Cluster = alone) {
    this.#cluster = cluster;
    this.count = count;
    this.first = this.#bound(cluster.rank);
    this.end = this.#bound(cluster.rank + 1);
  }

  /**
   * Fills in what the other ranks found; every rank calls it with an array of the same length. Throws `CLUSTER_MISMATCH` where a
   * rank has another number of values.
   *
   * @param thingOf which of the things a value belongs to, by the value's place
   */
  async exchange(
    values: Float32Array | Float64Array,
    thingOf: (place: number) => number = (place) => place,
  ): Promise<void> {
    const { rank, world } = this.#cluster;
    if (world === 1) return;
    const own = values.filter((_, place) => this.#rankOf(thingOf(place)) === rank);
    // As bytes: JSON has neither NaN nor infinities.
    const told = Buffer.from(own.buffer, own.byteOffset, own.byteLength).toString("base64");
    const given = await this.#cluster.gather({ length: values.length, told });
    const other = given.findIndex(({ length }) => length !== values.length);
    if (other >= 0) {
      const what = `rank ${other} scores ${given[other]?.length} values where rank ${rank} has ${values.length}`;
      throw new DdscError("CLUSTER_MISMATCH", `${what}: give all ranks the same data and options`);
    }
    const all = given.map((each) => numbersFrom(each.told, values));
    const next = new Int32Array(world);
    for (let place = 0; place < values.length; place++) {
      const from = this.#rankOf(thingOf(place));
      const at = next[from] as number;
      next[from] = at + 1;
      values[place] = all[from]?.[at] as number;
    }
  }

  /** Sums over all ranks of what each counted: whole numbers, whose sums are exact. */
  sum(counts: Float64Array): Promise<readonly number[]> {
    return this.#cluster.sum([...counts]);
  }

  #bound(rank: number): number {
    return Math.floor((this.count * rank) / this.#cluster.world);
  }

  #rankOf(thing: number): number {
    // The last rank that begins no later than there.
    return Math.ceil(((thing + 1) * this.#cluster.world) / this.count) - 1;
  }
}

function numbersFrom(text: string, like: Float32Array | Float64Array): Float32Array | Float64Array {
  // Copied: a view needs its numbers aligned.
  const { buffer } = Uint8Array.from(Buffer.from(text, "base64"));
  return like instanceof Float32Array ? new Float32Array(buffer) : new Float64Array(buffer);
}
