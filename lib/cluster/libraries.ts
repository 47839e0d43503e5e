import { DdscError } from "../base/errors.js";
import type { Launch } from "./launch.js";

/** Open MPI 4 and 5; MPICH 3 and 4, Intel MPI and Cray by their common name and Debian's; what follows MPI 5's standard. */
const OPEN_MPI = process.platform === "darwin" ? ["libmpi.40.dylib"] : ["libmpi.so.40"];
const MPICH =
  process.platform === "darwin"
    ? ["libmpi.12.dylib", "libmpich.12.dylib"]
    : ["libmpi.so.12", "libmpich.so.12"];
const STANDARD = process.platform === "darwin" ? ["libmpi_abi.dylib"] : ["libmpi_abi.so.0", "libmpi_abi.so"];

/**
 * MPI libraries to try, in this order: that which DDSC_MPI_LIBRARY names alone, else those that go with the launcher. Throws
 * `CLUSTER_LAUNCHER` for launchers that start processes without MPI.
 */
export function mpiLibraries(
  { launcher, world }: Pick<Launch, "launcher" | "world">,
  env: Readonly<Record<string, string | undefined>> = process.env,
): readonly string[] {
  const { DDSC_MPI_LIBRARY: given } = env;
  if (given !== undefined && given !== "") return [given];
  switch (launcher) {
    case "Open MPI":
      return OPEN_MPI;
    case "PMI":
      return [...MPICH, ...STANDARD, ...OPEN_MPI];
    case "PMIx":
    case "Slurm":
      return [...OPEN_MPI, ...STANDARD, ...MPICH];
    default:
      throw new DdscError(
        "CLUSTER_LAUNCHER",
        `${launcher ?? "nobody"} started ${world} processes without MPI, which they need to speak to one another: start them with ` +
          "mpirun -n N or srun --mpi=pmix. DDSC_CLUSTER=off makes every process train by itself",
      );
  }
}
