import { DdscError } from "../../base/errors.js";
import type { Cluster } from "../../cluster/cluster.js";
import type { NativeDenoiser } from "../../native/denoiser.js";
import type { ParameterBuffer } from "../../native/types.js";

/** Floats that a rank gives at a time. */
const AT_ONCE = 1 << 22;

/** What writes a model's buffers to a file reads. */
export type BufferReader = Pick<NativeDenoiser, "parameters" | "read">;

/** Throws `ARGUMENT_CONFLICT` where a model holds another share of the optimizer than that of this rank. */
export function requireOwnShare({ rank, world }: Cluster, native: NativeDenoiser): void {
  const { index, count } = native.optimizerShare;
  if (count === 1 || (index === rank && count === world)) return;
  throw new DdscError(
    "ARGUMENT_CONFLICT",
    `the model holds share ${index} of ${count} of the optimizer and this is rank ${rank} of ${world}; ` +
      "give optimizerShare the number of the rank and how many there are, and the trainer their cluster",
    { argument: "optimizerShare" },
  );
}

/**
 * The moments of a model of which each rank holds a share. A read is of all ranks: they make the same ones in the same order, and each
 * gives what it holds. Where ranks hold all it is the model itself.
 */
export function momentsOf(
  { communicator }: Pick<Cluster, "communicator">,
  native: NativeDenoiser,
): BufferReader {
  const { index, count } = native.optimizerShare;
  if (count === 1 || communicator === undefined) return native;
  const read = async (buffer: ParameterBuffer, offset: number, size: number) => {
    const values = new Float32Array(size);
    const bytes = new Uint8Array(values.buffer);
    for (let at = offset; at < offset + size; ) {
      const owner = Math.floor(at / native.optimizerShareSize);
      const end = Math.min(offset + size, (owner + 1) * native.optimizerShareSize, at + AT_ONCE);
      const own = owner === index ? await native.read(buffer, at, end - at) : new Float32Array(0);
      const given = await communicator.broadcast(
        new Uint8Array(own.buffer, own.byteOffset, own.byteLength),
        owner,
      );
      bytes.set(given, 4 * (at - offset));
      at = end;
    }
    return values;
  };
  return { parameters: native.parameters, read };
}
