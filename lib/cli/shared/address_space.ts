import { canReserveWebAssembly } from "../../data/hdf5/address_space.js";

const FLAG = "--disable-wasm-trap-handler";

/** `process.execve`, which Node.js has since 22.15. */
type Execve = (file: string, words: readonly string[], env: NodeJS.ProcessEnv) => never;

/**
 * Starts the program again in this process without what V8 reserves for WebAssembly, where a limit of addresses (`ulimit -v`, as clusters
 * set it) does not allow that: HDF5 files could not be read. Does nothing where there is no such limit, or where Node.js cannot: then
 * reading one ends in `ADDRESS_SPACE_LIMIT`.
 */
export function restartWithinLimit(): void {
  const { execve } = process as unknown as { readonly execve?: Execve };
  if (execve === undefined || process.execArgv.includes(FLAG) || canReserveWebAssembly()) return;
  if (process.env.NODE_OPTIONS?.includes(FLAG)) return;
  execve.call(
    process,
    process.execPath,
    [process.execPath, FLAG, ...process.execArgv, ...process.argv.slice(1)],
    process.env,
  );
}
