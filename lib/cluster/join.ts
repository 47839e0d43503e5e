import { readFileSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { checkNumber, DdscError } from "../base/errors.js";
import { NativeCommunicator, type NativeMembership } from "../native/communicator.js";
import { alone, type Cluster } from "./cluster.js";
import { describeLaunch, type Launch, readLaunch } from "./launch.js";
import { joinNccl } from "./nccl.js";
import { type Meeting, PeerWatch } from "./peer_watch.js";
import { type ProcessorShare, shareProcessors } from "./processors.js";
import { meet } from "./rendezvous.js";
import { chooseTransport, secretOf } from "./transports.js";

/** Seconds that a call waits for its peers: they may save, or read much data, meanwhile. */
const PATIENCE = 1800;
/** Seconds that all processes have to come, at most: a queue may start them one by one. */
const GATHERING = 600;
/** Seconds that connecting all with all may take. */
const CONNECTING = 60;
/** Seconds that joining NCCL may take, of many ranks on many machines. */
const JOINING = 120;
/** Milliseconds that leaving may take before the program ends without. */
const LEAVING = 20_000;

let joining: Promise<Cluster> | undefined;

/**
 * Joins the processes that a launcher (mpirun, srun, torchrun, Kubernetes) started together, once a process; later calls give the same. A
 * process that was started by itself, or with `DDSC_CLUSTER=off`, is a cluster of one, and no library is loaded.
 *
 * Sets `DDSC_THREADS`, where it is not set, to this process's share of the processors that it may run on, for models made from then on.
 *
 * Throws `CLUSTER_ENVIRONMENT` where the environment contradicts itself, `CLUSTER_LAUNCHER`, `CLUSTER_MPI_LIBRARY`, `CLUSTER_MPI`,
 * `CLUSTER_MISMATCH` where MPI sees other processes than the launcher started, `CLUSTER_RENDEZVOUS` and `CLUSTER_TCP` where processes
 * without MPI do not find one another, `CLUSTER_TIMEOUT`.
 */
export function joinCluster(): Promise<Cluster> {
  joining ??= join(readLaunch());
  return joining;
}

/**
 * Settings of MPI libraries that Node.js cannot live with: UCX and Open MPI write jumps into functions of the C library, to hear of memory
 * that is given back, while the threads of V8 run in them; and UCX takes the signal by which V8 knows that WebAssembly left its memory.
 */
const TAMED: Readonly<Record<string, string>> = {
  UCX_MEM_EVENTS: "n",
  UCX_HANDLE_ERRORS: "none",
  OMPI_MCA_memory: "^patcher",
};

async function join(launch: Launch): Promise<Cluster> {
  if (launch.world === 1) return alone;
  const { communicator, membership } = await connect(launch);
  const own: ProcessorShare = { machine: hostname(), processors: allowedProcessors() };
  const cluster = new ConnectedCluster(communicator, membership);
  const all = await cluster.gather(own);
  const { threads, localRank, localWorld } = shareProcessors(all, membership.rank);
  const isChosen = process.env.DDSC_THREADS === undefined || process.env.DDSC_THREADS === "";
  if (isChosen) process.env.DDSC_THREADS = String(threads);
  await cluster.watchPeers(launch);
  const machines = new Set(all.map(({ machine }) => machine)).size;
  cluster.localRank = localRank;
  cluster.localWorld = localWorld;
  cluster.members =
    `${describeLaunch(launch)}, ${machines} ${machines === 1 ? "machine" : "machines"}, ` +
    `${process.env.DDSC_THREADS} ${process.env.DDSC_THREADS === "1" ? "thread" : "threads"} each`;
  cluster.transport = describeTransport(membership);
  const least = Math.floor(availableOnMachine() / localWorld);
  if (isChosen && threads < least) {
    cluster.notes.push(
      `the launcher lets each process run on ${own.processors.length} of ${availableOnMachine()} processors: bind none ` +
        "(mpirun --bind-to none) or more for each to use all",
    );
  }
  return cluster;
}

/** Joins over what carries the job. */
async function connect(
  launch: Launch,
): Promise<{ communicator: NativeCommunicator; membership: NativeMembership }> {
  const transport = chooseTransport(launch);
  if (transport.kind === "mpi") {
    for (const [name, value] of Object.entries(TAMED)) process.env[name] ??= value;
    const communicator = new NativeCommunicator(transport.libraries, patience());
    const membership = await communicator.join();
    requireSameJob(launch, membership);
    return { communicator, membership };
  }
  const communicator = new NativeCommunicator("tcp", patience());
  const { rank, world } = launch;
  const { host, port } = transport;
  const seconds = Math.min(GATHERING, patience());
  const met = await meet({
    rank,
    world,
    host,
    port,
    secret: secretOf(),
    listening: communicator.port,
    seconds,
  });
  const membership = await communicator.join({ rank, seconds: Math.min(CONNECTING, patience()), ...met });
  return { communicator, membership };
}

/** Such as "MPICH Version: 4.0.2 (libmpich.so.12, MPICH ABI)", or "TCP". */
function describeTransport({ version, abi, file }: NativeMembership): string {
  return file === "" ? version : `${version} (${file}, ${abi === "Open MPI" ? "its own ABI" : abi})`;
}

function patience(): number {
  const { DDSC_CLUSTER_TIMEOUT: text } = process.env;
  if (text === undefined || text === "") return PATIENCE;
  return checkNumber("DDSC_CLUSTER_TIMEOUT", Number(text), { min: 1, max: 1e7 });
}

function requireSameJob(launch: Launch, { rank, size, version, file }: NativeMembership): void {
  if (rank === launch.rank && size === launch.world) return;
  throw new DdscError(
    "CLUSTER_MISMATCH",
    `${launch.launcher} says that this is rank ${launch.rank} of ${launch.world}, and ${file} (${version}) that it is rank ${rank} of ` +
      `${size}: the library is not of the MPI that started the processes, or srun started them without it (srun --mpi=pmix); ` +
      "name the right one with DDSC_MPI_LIBRARY",
  );
}

/** Processors that this process may run on, by number. */
function allowedProcessors(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    return list.split(",").flatMap((range) => {
      const [first = Number.NaN, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
  } catch {
    return Array.from({ length: availableParallelism() }, (_, i) => i);
  }
}

/** Processors of the machine, also where the launcher lets this process have but some. */
function availableOnMachine(): number {
  try {
    const online = readFileSync("/sys/devices/system/cpu/online", "utf8").trim();
    return online.split(",").reduce((sum, range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return sum + last - first + 1;
    }, 0);
  } catch {
    return availableParallelism();
  }
}

const text = new TextEncoder();
const decoder = new TextDecoder();

/** Processes that MPI or TCP connects. */
class ConnectedCluster implements Cluster {
  readonly rank: number;
  readonly world: number;
  readonly communicator: NativeCommunicator;
  readonly notes: string[] = [];
  localRank = 0;
  localWorld = 1;
  members = "";
  transport = "";
  #usesDevice = false;
  #watch: PeerWatch | undefined;
  #isOver = false;

  constructor(communicator: NativeCommunicator, { rank, size }: NativeMembership) {
    this.communicator = communicator;
    this.rank = rank;
    this.world = size;
  }

  /** Has lost peers told of; where they cannot be watched, says so. */
  async watchPeers({ master }: Launch): Promise<void> {
    const onLost = (error: DdscError) => this.communicator.giveUp(error.code, error.text);
    let meeting: Meeting | undefined;
    if (this.rank === 0) {
      const listening = await PeerWatch.listen(this.world, onLost, master?.host);
      this.#watch = listening.watch;
      meeting = listening.meeting;
    }
    const [told] = await this.gather(meeting);
    if (this.rank > 0 && told !== undefined) this.#watch = await PeerWatch.meet(this.rank, told, onLost);
    const met = await this.gather(this.#watch !== undefined);
    const missing = met.flatMap((has, rank) => (has ? [] : [rank]));
    const isComplete =
      this.rank > 0 || (missing.length === 0 && (await this.#watch?.complete(this.world - 1)));
    if (!(await this.agree(isComplete !== true))) return;
    this.#watch?.leave();
    this.#watch?.close();
    this.#watch = undefined;
    this.notes.push(
      `rank ${missing.length === 0 ? "0" : missing.join(", ")} cannot reach rank 0 over TCP (port ${told?.port}): a rank that is lost shows after ` +
        `${patience()} s only (DDSC_CLUSTER_TIMEOUT)`,
    );
  }

  get description(): string {
    return `${this.members}; ${this.transport}`;
  }

  async useDevice(device: string): Promise<void> {
    if (this.#usesDevice) return;
    this.#usesDevice = true;
    const sums = await joinNccl(this, this.communicator, device, Math.min(JOINING, patience()));
    if (sums.kind === "nccl") {
      this.transport = `NCCL ${sums.version} (${sums.file}) over ${this.transport}`;
    } else if (sums.why !== undefined) {
      this.notes.push(`gradients go through the memory of the host, without NCCL: ${sums.why}`);
    }
  }

  async gather<T>(value: T): Promise<readonly T[]> {
    const all = await this.communicator.gather(text.encode(JSON.stringify({ value })));
    return all.map((bytes) => (JSON.parse(decoder.decode(bytes)) as { readonly value: T }).value);
  }

  async sum(values: readonly number[]): Promise<number[]> {
    const own = Float64Array.from(values);
    const all = await this.communicator.gather(new Uint8Array(own.buffer));
    const sums = new Float64Array(values.length);
    for (const bytes of all) {
      const theirs = new Float64Array(bytes.buffer, bytes.byteOffset, values.length);
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (theirs[i] ?? 0);
    }
    return [...sums];
  }

  async largest(value: number): Promise<number> {
    return Math.max(...(await this.gather(value)));
  }

  async agree(said: boolean): Promise<boolean> {
    return (await this.largest(said ? 1 : 0)) > 0;
  }

  async barrier(): Promise<void> {
    await this.gather(0);
  }

  async leave(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    // Nobody goes while another may still be waiting for it.
    await this.barrier();
    this.#watch?.leave();
    const late = new AbortController();
    await Promise.race([
      this.communicator.leave(),
      delay(LEAVING, undefined, { signal: late.signal, ref: false }).catch(() => undefined),
    ]);
    late.abort();
    this.#watch?.close();
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const why = `failed: ${error instanceof Error ? error.message : String(error)}`;
    this.communicator.giveUp("CLUSTER_PEER_LOST", `this rank (${this.rank}) failed`);
    this.#watch?.fail(why);
  }
}
