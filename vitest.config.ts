import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Processes, not threads: a native addon's state and crashes stay with the file that caused them.
    pool: "forks",
    maxWorkers: Math.max(1, Math.min(8, availableParallelism())),
    // Several test processes run side by side; kernels give the same bits for any number of threads.
    env: { DDSC_THREADS: "2" },
    // Some tests train and resume small models in child processes.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
  },
});
