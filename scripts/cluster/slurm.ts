import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { cpus, hostname, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { require } from "./checks.js";
import { killGroup, type Running, run, start, until } from "./programs.js";

/** Processors that the jobs of the checks need. */
const LEAST_PROCESSORS = 2;

/** A Slurm of one node, this machine, with daemons, key and state of its own; any other Slurm of the machine is left alone. */
export class Slurm {
  readonly #folder: string;
  readonly #daemons: Running[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts the daemons in a new folder, as root. @param undoLater told at once how they are stopped */
  static async start(folder: string, undoLater: (undo: () => Promise<void>) => void): Promise<Slurm> {
    const processors = cpus().length;
    require(processors >=
      LEAST_PROCESSORS, `${LEAST_PROCESSORS} processors are needed; there is ${processors}`);
    await mkdir(join(folder, "state"), { recursive: true });
    await mkdir(join(folder, "spool"));
    await writeFile(join(folder, "munge.key"), randomBytes(1024), { mode: 0o400 });
    await writeFile(join(folder, "slurm.conf"), await settings(folder, processors));
    const slurm = new Slurm(folder);
    undoLater(() => slurm.#stop());
    const at = (name: string) => join(folder, name);
    const munge = [
      "--foreground",
      "--force",
      `--key-file=${at("munge.key")}`,
      `--socket=${at("munge.socket")}`,
    ];
    const mungeFiles = ["pid", "log", "seed"].map((kind) => `--${kind}-file=${at(`munged.${kind}`)}`);
    slurm.#daemons.push(start(["munged", ...munge, ...mungeFiles]));
    await until(
      "munged's start",
      10,
      async () => await slurm.#asks(["munge", "-n", "-S", at("munge.socket")]),
    );
    slurm.#daemons.push(start(["slurmctld", "-D"], slurm.env));
    await until("slurmctld's start", 30, () => slurm.#asks(["scontrol", "ping"]), 200);
    slurm.#daemons.push(start(["slurmd", "-D"], slurm.env));
    await until(
      "slurmd's start",
      30,
      async () => (await run(["sinfo", "-h", "-o", "%T"], slurm.env)).stdout.includes("idle"),
      200,
    );
    return slurm;
  }

  /** Variables under which Slurm's programs speak to this one. */
  get env(): NodeJS.ProcessEnv {
    return { SLURM_CONF: join(this.#folder, "slurm.conf") };
  }

  /** Why nothing can be started with this kind of MPI; undefined where it can. */
  async lacks(mpi: string): Promise<string | undefined> {
    const { stdout, stderr } = await run(["srun", "--mpi=list"], this.env);
    if (!new RegExp(`\\b${mpi}\\b`).test(stdout + stderr)) return `srun has no --mpi=${mpi}`;
    const log = readFileSync(join(this.#folder, "slurmd.log"), "utf8");
    const problem = log
      .split("\n")
      .find((line) => line.includes(`mpi/${mpi}`) && line.includes("Couldn't load"));
    return problem === undefined ? undefined : `slurmd says: ${problem.replace(/^\S+ /, "")} (libpmix-dev?)`;
  }

  /** Hands in a script. @returns the number of the job */
  async submit(script: string, words: readonly string[] = []): Promise<string> {
    const file = join(this.#folder, `job-${randomBytes(4).toString("hex")}.sh`);
    await writeFile(file, script);
    const output = ["--output", `${file}.log`];
    return (await run(["sbatch", "--parsable", ...output, ...words, file], this.env)).stdout.trim();
  }

  /** What Slurm says of a job, a task of an array each. */
  async job(id: string): Promise<Map<string, string>[]> {
    const { stdout } = await run(["scontrol", "show", "job", "-o", id], this.env);
    return stdout
      .trim()
      .split("\n")
      .map(
        (line) =>
          new Map([...line.matchAll(/(\w+)=(\S*)/g)].map(([, name = "", value = ""]) => [name, value])),
      );
  }

  /** Waits until a job has been requeued so often, and its processes have ended. */
  async requeued(id: string, times: number, seconds: number): Promise<void> {
    await until(
      `requeue ${times} of job ${id}`,
      seconds,
      async () => {
        const [job] = await this.job(id);
        return job?.get("Restarts") === String(times) && job.get("JobState") === "PENDING";
      },
      200,
    );
  }

  /** Waits for the end of a job, all tasks of it; throws where one did not end well, with what it printed last. */
  async completed(id: string, seconds: number): Promise<void> {
    const states = async () => (await this.job(id)).map((task) => task.get("JobState") ?? "");
    const isOver = async () =>
      (await states()).every((state) => !/PENDING|RUNNING|COMPLETING|CONFIGUR/.test(state));
    await until(`the end of job ${id}`, seconds, isOver, 300);
    for (const task of await this.job(id)) {
      const state = task.get("JobState");
      if (state === "COMPLETED") continue;
      const printed = readFileSync(task.get("StdOut") ?? "", "utf8")
        .trim()
        .split("\n")
        .slice(-3)
        .join(" | ");
      throw new Error(`job ${id} is ${state}: ${printed}`);
    }
  }

  async #asks(words: readonly string[]): Promise<boolean> {
    return run(words, this.env).then(
      ({ stdout }) => !stdout.includes("DOWN"),
      () => false,
    );
  }

  /** Ends all jobs, then the daemons. */
  async #stop(): Promise<void> {
    const user = userInfo().username;
    await run(["scancel", "--user", user], this.env).catch(() => undefined);
    const isIdle = async () => (await run(["squeue", "-h"], this.env)).stdout.trim() === "";
    await until("the end of all jobs", 40, isIdle, 300).catch(() => undefined);
    for (const { child, ended } of this.#daemons.reverse()) {
      child.kill("SIGTERM");
      await Promise.race([ended, delay(10_000, undefined, { ref: false })]);
      killGroup(child);
    }
  }
}

/** The file of settings: one node, no accounting, processors handed out one by one. */
async function settings(folder: string, processors: number): Promise<string> {
  const host = hostname().split(".")[0];
  const user = userInfo().username;
  return `ClusterName=ddsc-check
SlurmctldHost=${host}
SlurmctldPort=${await freePort()}
SlurmdPort=${await freePort()}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.socket
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName=${host} CPUs=${processors} RealMemory=1000 State=UNKNOWN
PartitionName=check Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`;
}

/** A TCP port that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
