import { emulated } from "./emulated.js";

/** Whether these tests run on this machine's GPU, by the package's own addon: DDSC_TEST_GPU=real. Else on the emulated one. */
export const isReal = process.env.DDSC_TEST_GPU === "real";

/** Environment of a process that computes on the GPU under test. */
export const gpuUnderTest = (): Record<string, string> => (isReal ? {} : emulated());
