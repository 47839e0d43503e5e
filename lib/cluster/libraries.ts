import { DdscError } from "../base/errors.js";
import type { Launch } from "./launch.js";

/** Open MPI 4 and 5; MPICH 3 and 4, Intel MPI and Cray by their common name and Debian's; what follows MPI 5's standard. */
const OPEN_MPI = process.platform === "darwin" ? ["libmpi.40.dylib"] : ["libmpi.so.40"];
const MPICH =
  process.platform === "darwin"
    ? ["libmpi.12.dylib", "libmpich.12.dylib"]
    : ["libmpi.so.12", "libmpich.so.12"];
const STANDARD = process.platform === "darwin" ? ["libmpi_abi.dylib"] : ["libmpi_abi.so.0", "libmpi_abi.so"];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * MPI libraries to try, in this order: that which DDSC_MPI_LIBRARY names alone, else those that go with the launcher. Throws
 * `CLUSTER_LAUNCHER` for launchers that start processes without MPI.
 */
export function mpiLibraries(
  { launcher, world }: Pick<Launch, "launcher" | "world">,
  env: Environment = process.env,
): readonly string[] {
  const { DDSC_MPI_LIBRARY: given } = env;
  if (given !== undefined && given !== "") return [given];
  switch (launcher) {
    case "Open MPI":
      return OPEN_MPI;
    case "PMI":
      return [...MPICH, ...STANDARD, ...OPEN_MPI];
    case "Slurm":
      if (isWithoutMpi(env)) throw unconnected("srun", world);
      return [...OPEN_MPI, ...STANDARD, ...MPICH];
    case "PMIx":
      return [...OPEN_MPI, ...STANDARD, ...MPICH];
    default:
      throw unconnected(launcher ?? "nobody", world);
  }
}

/** Whether several processes were started so that MPI can connect them. */
export function isStartedByMpi(
  launch: Pick<Launch, "launcher" | "world">,
  env: Environment = process.env,
): boolean {
  if (launch.world === 1) return false;
  try {
    mpiLibraries(launch, env);
    return true;
  } catch (error) {
    if (error instanceof DdscError && error.code === "CLUSTER_LAUNCHER") return false;
    throw error;
  }
}

/**
 * Whether srun started the processes without anything by which MPI could connect them: libraries may end a process that tries. Cray's
 * speaks to PALS; Intel MPI may be told to speak to Slurm itself.
 */
function isWithoutMpi(env: Environment): boolean {
  const { SLURM_MPI_TYPE: type = "none", I_MPI_PMI_LIBRARY: own = "" } = env;
  return type === "none" && own === "" && !Object.keys(env).some((name) => /^(PMI|PALS_)/.test(name));
}

function unconnected(launcher: string, world: number): DdscError {
  return new DdscError(
    "CLUSTER_LAUNCHER",
    `${launcher} started ${world} processes without MPI, which they need to speak to one another: start them with mpirun -n N, ` +
      "srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH, Intel MPI). DDSC_CLUSTER=off makes every process train by itself; " +
      "DDSC_MPI_LIBRARY names a library that needs neither",
  );
}
