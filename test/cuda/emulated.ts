import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The addon with the emulator in the place of CUDA; `npm run build:emulated` makes it. */
export const EMULATED_ADDON = fileURLToPath(new URL("../../build/emulated/ddsc.node", import.meta.url));

/** Environment of a process that uses it; `gpu` is what DDSC_EMULATED_GPU says (see test/native/cuda/emulator/settings.h). */
export function emulated(gpu = ""): Record<string, string> {
  if (!existsSync(EMULATED_ADDON)) {
    throw new Error(`${EMULATED_ADDON} is missing: run \`npm run build:emulated\` in ${ROOT}`);
  }
  // NVIDIA's own NCCL, where it is installed, would take the emulated GPU's memory for a GPU's.
  return { DDSC_ADDON: EMULATED_ADDON, DDSC_EMULATED_GPU: gpu, DDSC_NCCL_LIBRARY: "off" };
}
