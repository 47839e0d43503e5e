import { hostname } from "node:os";
import { DdscError } from "../base/errors.js";

/** How this process was started: alone, or as one of several that a launcher started together. */
export interface Launch {
  /** Number of this process, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly world: number;
  /** Number of this process among those of its machine; undefined where the launcher does not say. */
  readonly localRank: number | undefined;
  /** How many of them run on its machine; undefined where the launcher does not say. */
  readonly localWorld: number | undefined;
  /** Where the processes may meet, as the launcher says. */
  readonly master: { readonly host: string; readonly port: number | undefined } | undefined;
  /** Who says so: "Open MPI", "Slurm"; undefined for a process alone. */
  readonly launcher: Launcher | undefined;
}

/** Who started a process. */
export type Launcher = "Open MPI" | "PMI" | "PMIx" | "Slurm" | "torchrun" | "Kubernetes";

/** The variables of one launcher. */
interface Dialect {
  readonly launcher: Launcher;
  readonly rank: string;
  /** The first that is set counts. */
  readonly world: readonly string[];
  readonly localRank: string;
  readonly localWorld: string;
}

/**
 * In the order of who is believed: an MPI launcher within a Slurm job names the process, and Slurm's variables then are those of the
 * launcher's own daemon.
 */
const DIALECTS: readonly Dialect[] = [
  {
    launcher: "Open MPI",
    rank: "OMPI_COMM_WORLD_RANK",
    world: ["OMPI_COMM_WORLD_SIZE"],
    localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
    localWorld: "OMPI_COMM_WORLD_LOCAL_SIZE",
  },
  {
    launcher: "PMI",
    rank: "PMI_RANK",
    world: ["PMI_SIZE"],
    localRank: "MPI_LOCALRANKID",
    localWorld: "MPI_LOCALNRANKS",
  },
  {
    launcher: "PMIx",
    rank: "PMIX_RANK",
    world: ["PMIX_SIZE", "SLURM_STEP_NUM_TASKS"],
    localRank: "SLURM_LOCALID",
    localWorld: "SLURM_STEP_TASKS_PER_NODE",
  },
  {
    launcher: "Slurm",
    rank: "SLURM_PROCID",
    // Of the step: SLURM_NTASKS is set in the script of a job, too, which is one process.
    world: ["SLURM_STEP_NUM_TASKS"],
    localRank: "SLURM_LOCALID",
    localWorld: "SLURM_STEP_TASKS_PER_NODE",
  },
  {
    launcher: "torchrun",
    rank: "RANK",
    world: ["WORLD_SIZE"],
    localRank: "LOCAL_RANK",
    localWorld: "LOCAL_WORLD_SIZE",
  },
  {
    launcher: "Kubernetes",
    rank: "JOB_COMPLETION_INDEX",
    world: ["WORLD_SIZE"],
    localRank: "LOCAL_RANK",
    localWorld: "LOCAL_WORLD_SIZE",
  },
];

/** Variables that alone say nothing: jobs of many single processes have them. */
const ALONE: ReadonlySet<string> = new Set(["SLURM_PROCID", "JOB_COMPLETION_INDEX"]);

/** Processes of a job, at most. */
const MOST_RANKS = 1_000_000;
/** A port, at most. */
export const MOST_PORT = 65_535;

type Environment = Readonly<Record<string, string | undefined>>;

const alone: Launch = {
  rank: 0,
  world: 1,
  localRank: undefined,
  localWorld: undefined,
  master: undefined,
  launcher: undefined,
};

/**
 * Reads from the environment which of how many processes this is. `DDSC_CLUSTER=off` makes it a process alone, whatever a launcher
 * says. Throws `CLUSTER_ENVIRONMENT` for variables that are half set, no numbers, or contradict one another, naming them.
 */
export function readLaunch(env: Environment = process.env): Launch {
  const wish = env.DDSC_CLUSTER ?? "";
  if (wish === "off") return alone;
  if (wish !== "" && wish !== "auto") {
    throw wrong(`DDSC_CLUSTER is ${JSON.stringify(wish)}`, 'set it to "auto" or "off", or unset it');
  }
  const said = DIALECTS.map((dialect) => readDialect(env, dialect)).filter((each) => each !== undefined);
  const [first] = said;
  if (first === undefined) {
    if (setValue(env, "PMI_PORT") === undefined || setValue(env, "PMI_ID") === undefined) return alone;
    throw wrong(
      "PMI_ID and PMI_PORT are set and PMI_SIZE is not",
      "leave out -pmi-port, with which mpirun does not say how many processes there are",
    );
  }
  for (const other of said.slice(1)) {
    // Slurm's are a daemon's, and PMIx under Open MPI is the same launcher in other words, whose rank is compared.
    if (first.launcher !== other.launcher && other.launcher !== "Slurm") requireAgreement(first, other);
  }
  const { rank, world, localRank, localWorld, launcher } = first;
  return { rank, world, localRank, localWorld, master: masterOf(env), launcher };
}

/** What one launcher says, with the names of the variables that say it. */
interface Said extends Omit<Launch, "master" | "launcher"> {
  readonly launcher: Launcher;
  readonly names: { readonly rank: string; readonly world: string };
}

function readDialect(env: Environment, dialect: Dialect): Said | undefined {
  const rankText = setValue(env, dialect.rank);
  const world = dialect.world.find((name) => setValue(env, name) !== undefined);
  const [firstWorld = ""] = dialect.world;
  if (rankText === undefined) {
    // Kubernetes shares torchrun's names, which may be set without an index.
    const shared =
      dialect.launcher === "Kubernetes" || dialect.launcher === "PMIx" || dialect.launcher === "Slurm";
    if (world === undefined || shared) return undefined;
    // torchrun's own are complete or missing; Kubernetes gives the rank by another name.
    if (dialect.launcher === "torchrun" && setValue(env, "JOB_COMPLETION_INDEX") !== undefined)
      return undefined;
    throw wrong(
      `${world} is set and ${dialect.rank} is not`,
      `set both or none (${dialect.launcher} sets both)`,
    );
  }
  if (world === undefined) {
    // PMIX_RANK alone: of Open MPI, which says more in its own words, or of a process alone.
    if (ALONE.has(dialect.rank) || dialect.launcher === "PMIx") return undefined;
    throw wrong(
      `${dialect.rank} is set and ${firstWorld} is not`,
      `set both or none (${dialect.launcher} sets both)`,
    );
  }
  const size = numberOf(env, world, 1, MOST_RANKS);
  const rank = numberOf(env, dialect.rank, 0, MOST_RANKS);
  if (rank >= size) {
    throw wrong(
      `${dialect.rank} is ${rank} and ${world} is ${size}`,
      "ranks count from 0 and are below the number of processes",
    );
  }
  const localRank = optional(env, dialect.localRank, 0);
  const localWorld = localWorldOf(env, dialect.localWorld);
  if (localRank !== undefined && localWorld !== undefined && localRank >= localWorld) {
    throw wrong(
      `${dialect.localRank} is ${localRank} and ${dialect.localWorld} is ${localWorld}`,
      "local ranks count from 0 and are below the number of processes of their machine",
    );
  }
  return {
    rank,
    world: size,
    localRank,
    localWorld,
    launcher: dialect.launcher,
    names: { rank: dialect.rank, world },
  };
}

function requireAgreement(first: Said, other: Said): void {
  for (const [what, name] of [
    ["rank", "rank"],
    ["world", "world"],
  ] as const) {
    if (first[what] === other[what]) continue;
    throw wrong(
      `${first.names[name]} is ${first[what]} (${first.launcher}) and ${other.names[name]} is ${other[what]} (${other.launcher})`,
      "unset those of the launcher that did not start this process",
    );
  }
}

function masterOf(env: Environment): Launch["master"] {
  const host = setValue(env, "MASTER_ADDR");
  if (host === undefined) return undefined;
  const port =
    setValue(env, "MASTER_PORT") === undefined ? undefined : numberOf(env, "MASTER_PORT", 1, MOST_PORT);
  return { host, port };
}

/** Slurm lists the tasks of all nodes, "4(x2),3": only where all nodes have as many it says how many this one has. */
function localWorldOf(env: Environment, name: string): number | undefined {
  const text = setValue(env, name);
  if (name !== "SLURM_STEP_TASKS_PER_NODE" || text === undefined) return optional(env, name, 1);
  const alike = /^(\d{1,7})(\(x\d{1,7}\))?$/.exec(text);
  return alike === null ? undefined : Number(alike[1]);
}

/** Set, and not to nothing. */
function setValue(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === undefined || value === "" ? undefined : value;
}

function optional(env: Environment, name: string, least: number): number | undefined {
  return setValue(env, name) === undefined ? undefined : numberOf(env, name, least, MOST_RANKS);
}

function numberOf(env: Environment, name: string, least: number, most: number): number {
  const text = setValue(env, name) ?? "";
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrong(`${name} is ${JSON.stringify(text)}`, `it must be a whole number from ${least} to ${most}`);
}

function wrong(what: string, remedy: string): DdscError {
  return new DdscError(
    "CLUSTER_ENVIRONMENT",
    `${what}; ${remedy}. DDSC_CLUSTER=off makes every process train by itself`,
  );
}

/** In one line, such as "rank 1 of 4 (Open MPI; local rank 1 of 4 on node7)". */
export function describeLaunch({ rank, world, localRank, localWorld, launcher }: Launch): string {
  if (launcher === undefined) return "one process";
  const local =
    localRank === undefined
      ? `on ${hostname()}`
      : `local rank ${localRank}${localWorld === undefined ? "" : ` of ${localWorld}`} on ${hostname()}`;
  return `rank ${rank} of ${world} (${launcher}; ${local})`;
}
