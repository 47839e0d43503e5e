import { DdscError } from "../../base/errors.js";

/** Whether this process can have any WebAssembly memory. */
export function canReserveWebAssembly(): boolean {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { Memory: new (size: { initial: number; maximum: number }) => unknown };
  };
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 1 });
    return true;
  } catch {
    return false;
  }
}

/**
 * Throws `ADDRESS_SPACE_LIMIT` where the process may not reserve what V8 does for any WebAssembly module, however small: addresses, not
 * memory, for its checks of bounds by the processor.
 */
export function requireAddressSpace(): void {
  if (canReserveWebAssembly()) return;
  throw new DdscError(
    "ADDRESS_SPACE_LIMIT",
    "HDF5 files (.h5ad, .h5) are read by WebAssembly, for which Node.js reserves more than 10 GB of addresses (not of memory), and the limit " +
      "of this process (ulimit -v) does not allow them; raise the limit to 20 GB or more, or set NODE_OPTIONS=--disable-wasm-trap-handler, with which 4 GB do",
    {},
  );
}
