/** Loads the native addon, the only file that does. What it exports is said by the files that call it. */
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { DdscError } from "../base/errors.js";

const require = createRequire(import.meta.url);
const packageRoot = fileURLToPath(new URL("../..", import.meta.url));
let loaded: object | undefined;

/** The addon: the package's own, or for development the file that DDSC_ADDON names. */
function addon(): object {
  if (loaded === undefined) {
    const { DDSC_ADDON: other } = process.env;
    try {
      loaded = (other ? require(resolve(other)) : require("node-gyp-build")(packageRoot)) as object;
    } catch (cause) {
      throw new DdscError(
        "NATIVE_LOAD",
        `the native addon for ${process.platform}-${process.arch} could not be loaded (${String(cause).split("\n")[0]}); ` +
          "reinstall the package, or run `npm run build:native` in a source checkout; in a bundled program, leave ddsc out of " +
          "the bundle (esbuild --external:ddsc)",
        {},
        { cause },
      );
    }
  }
  return loaded;
}

/** Path of the addon that is used. Throws `NATIVE_LOAD` where there is none for this platform. */
export function nativeBinary(): string {
  addon();
  const { DDSC_ADDON: other } = process.env;
  if (other) return resolve(other);
  return require("node-gyp-build").path(packageRoot) as string;
}

/** Turns an error that crossed the addon's border into a DdscError. */
export function fromNative(error: unknown): unknown {
  if (
    error instanceof Error &&
    !(error instanceof DdscError) &&
    typeof (error as { code?: unknown }).code === "string"
  ) {
    return new DdscError((error as unknown as { code: string }).code, error.message, {}, { cause: error });
  }
  return error;
}

/**
 * Calls one of the addon's functions, at once or off the event loop; errors become `DdscError`s. Throws `NATIVE_LOAD` where there
 * is no addon.
 * @typeParam A those of the addon's exports that the caller knows
 */
export function callAddon<A extends object, T>(call: (addon: A) => T): T {
  try {
    const result = call(addon() as A);
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw fromNative(error);
    }) as T;
  } catch (error) {
    throw fromNative(error);
  }
}
