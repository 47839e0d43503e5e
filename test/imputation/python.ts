import { spawnSync } from "node:child_process";

/** A Python that has h5py: DDSC_PYTHON or python3; undefined where there is none. */
export const python = [process.env.DDSC_PYTHON, "python3"].find(
  (name) => name !== undefined && spawnSync(name, ["-c", "import h5py"]).status === 0,
);

/** Runs a program; gives what it printed as JSON. */
export function runPython(program: string, ...words: readonly string[]): unknown {
  const { status, stdout, stderr } = spawnSync(python ?? "python3", ["-c", program, ...words], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
