import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STARTER = fileURLToPath(new URL("../../scripts/cluster/start_ranks.mjs", import.meta.url));

/** A launcher of several processes, where it is installed. */
export interface Launcher {
  readonly name: "Open MPI" | "MPICH" | "TCP";
  readonly program: string | undefined;
}

/** What the launcher says of itself; undefined where it is not there. */
function version(program: string): string | undefined {
  const asked = spawnSync(program, ["--version"], { encoding: "utf8" });
  return asked.status === 0 ? asked.stdout : undefined;
}

function find(name: Launcher["name"], words: RegExp, programs: readonly string[]): Launcher {
  return { name, program: programs.find((program) => words.test(version(program) ?? "")) };
}

/** Of MPI: Debian has both beside one another, under these names; elsewhere one of them is mpirun. And one of processes that meet by TCP. */
export const LAUNCHERS: readonly Launcher[] = [
  find("Open MPI", /Open MPI|OpenRTE|prte/i, ["mpirun.openmpi", "mpirun"]),
  find("MPICH", /HYDRA/i, ["mpirun.mpich", "mpirun", "mpiexec.hydra"]),
  { name: "TCP", program: process.execPath },
];

/** How a test is called that needs a launcher: says why it is skipped. */
export function titleOf({ name, program }: Launcher): string {
  return program === undefined ? `${name} (skipped: it is not installed here)` : name;
}

/** Starts Node with these words, so many processes. */
export function mpirun(
  { name, program = "mpirun" }: Launcher,
  ranks: number,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  if (name === "TCP") {
    return spawn(program, [STARTER, "-n", String(ranks), process.execPath, ...words], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
  const crowded = name === "Open MPI" ? ["--oversubscribe", "--bind-to", "none"] : [];
  return spawn(program, [...crowded, "-n", String(ranks), process.execPath, ...words], {
    cwd: ROOT,
    env: {
      ...process.env,
      // In containers tests run as root, where Open MPI wants to be told twice.
      OMPI_ALLOW_RUN_AS_ROOT: "1",
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** How a job ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits for the end of a job. @param onLine told of each whole line of its standard output */
export async function ended(
  child: ChildProcess,
  onLine: (line: string) => void = () => undefined,
): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  let told = 0;
  child.stdout?.on("data", (piece: Buffer) => {
    stdout += piece.toString();
    for (let end = stdout.indexOf("\n", told); end >= 0; end = stdout.indexOf("\n", told)) {
      onLine(stdout.slice(told, end));
      told = end + 1;
    }
  });
  child.stderr?.on("data", (piece: Buffer) => {
    stderr += piece.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return { code, stdout, stderr };
}
