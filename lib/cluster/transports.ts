import { fstatSync } from "node:fs";
import { checkWhole, DdscError } from "../base/errors.js";
import { type Launch, MOST_PORT } from "./launch.js";

/** Open MPI 4 and 5; MPICH 3 and 4, Intel MPI and Cray by their common name and Debian's; what follows MPI 5's standard. */
const OPEN_MPI = process.platform === "darwin" ? ["libmpi.40.dylib"] : ["libmpi.so.40"];
const MPICH =
  process.platform === "darwin"
    ? ["libmpi.12.dylib", "libmpich.12.dylib"]
    : ["libmpi.so.12", "libmpich.so.12"];
const STANDARD = process.platform === "darwin" ? ["libmpi_abi.dylib"] : ["libmpi_abi.so.0", "libmpi_abi.so"];

type Environment = Readonly<Record<string, string | undefined>>;

/** What carries what ranks tell one another. */
export type Transport =
  /** The first of these MPI libraries that loads. */
  | { readonly kind: "mpi"; readonly libraries: readonly string[] }
  /** TCP, once all have met at this address. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Where nothing else is said; PyTorch's, too. */
const PORT = 29_500;

/**
 * MPI where DDSC_MPI_LIBRARY names a library, or the launcher is one of MPI that this process has a connection to; else TCP, met at
 * MASTER_ADDR. Throws `CLUSTER_LAUNCHER` for processes that a launcher started without either.
 */
export function chooseTransport(
  { launcher, world, master }: Pick<Launch, "launcher" | "world" | "master">,
  env: Environment = process.env,
): Transport {
  const { DDSC_MPI_LIBRARY: given } = env;
  if (isCutOff(env)) return overTcp(master, env, cutOff);
  if (given !== undefined && given !== "") return { kind: "mpi", libraries: [given] };
  switch (launcher) {
    case "Open MPI":
      return { kind: "mpi", libraries: OPEN_MPI };
    case "PMI":
      return { kind: "mpi", libraries: [...MPICH, ...STANDARD, ...OPEN_MPI] };
    case "PMIx":
      return { kind: "mpi", libraries: [...OPEN_MPI, ...STANDARD, ...MPICH] };
    case "Slurm":
      if (!isWithoutMpi(env)) return { kind: "mpi", libraries: [...OPEN_MPI, ...STANDARD, ...MPICH] };
  }
  return overTcp(master, env, () => unconnected(launcher ?? "nobody", world));
}

/** TCP, met at MASTER_ADDR. Throws what `lack` gives where that is not set. */
function overTcp(master: Launch["master"], env: Environment, lack: () => DdscError): Transport {
  if (master === undefined) throw lack();
  return { kind: "tcp", host: master.host, port: portOf(master.port ?? PORT, env) };
}

/** Whether several processes were started so that they can find one another. */
export function isConnected(launch: Pick<Launch, "launcher" | "world" | "master">): boolean {
  if (launch.world === 1) return false;
  try {
    chooseTransport(launch);
    return true;
  } catch (error) {
    if (error instanceof DdscError && error.code === "CLUSTER_LAUNCHER") return false;
    throw error;
  }
}

/** On MASTER_PORT, unless torchrun's own agent listens there: then on the next. */
function portOf(master: number, env: Environment): number {
  const { DDSC_CLUSTER_PORT: given, TORCHELASTIC_USE_AGENT_STORE: agent } = env;
  if (given !== undefined && given !== "") {
    return checkWhole("DDSC_CLUSTER_PORT", Number(given), 1, MOST_PORT);
  }
  if (agent !== "True") return master;
  return master < MOST_PORT ? master + 1 : master - 1;
}

/** What processes of the job know, to prove it to one another; empty: nothing. torchrun gives its job a name (--rdzv-id). */
export function secretOf(env: Environment = process.env): string {
  const { DDSC_CLUSTER_SECRET: given, TORCHELASTIC_RUN_ID: run } = env;
  return given !== undefined && given !== "" ? given : (run ?? "");
}

/**
 * Whether srun started the processes without anything by which MPI could connect them: libraries may end a process that tries. Cray's
 * speaks to PALS; Intel MPI may be told to speak to Slurm itself.
 */
function isWithoutMpi(env: Environment): boolean {
  const { SLURM_MPI_TYPE: type = "none", I_MPI_PMI_LIBRARY: own = "" } = env;
  return type === "none" && own === "" && !Object.keys(env).some((name) => /^(PMI|PALS_)/.test(name));
}

/**
 * Whether a launcher gave the program an open connection that this process has not: MPICH's library would end it. Node.js hands none on to what
 * it starts, so that npx, which is such a program, cuts off the one that it is asked for.
 */
function isCutOff({ PMI_FD: descriptor = "" }: Environment): boolean {
  if (!/^\d+$/.test(descriptor)) return false;
  try {
    return !fstatSync(Number(descriptor)).isSocket();
  } catch {
    return true;
  }
}

function cutOff(): DdscError {
  return new DdscError(
    "CLUSTER_LAUNCHER",
    "the launcher's connection (PMI_FD) did not reach this process: npx and other programs between them do not hand it on. Write " +
      "node_modules/.bin/ddsc in place of npx ddsc under mpirun of MPICH and Intel MPI and under srun --mpi=pmi2, or set MASTER_ADDR to the " +
      "machine of rank 0",
  );
}

function unconnected(launcher: string, world: number): DdscError {
  const starter = launcher === "Slurm" ? "srun" : launcher;
  return new DdscError(
    "CLUSTER_LAUNCHER",
    `${starter} started ${world} processes without MPI, and MASTER_ADDR, by which they would find one another, is not set: start them with ` +
      "mpirun -n N, srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH, Intel MPI), or set MASTER_ADDR to the machine of rank 0. " +
      "DDSC_CLUSTER=off makes every process train by itself; DDSC_MPI_LIBRARY names a library that needs neither",
  );
}
