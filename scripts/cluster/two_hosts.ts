import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AS_ROOT, run } from "./programs.js";

/** Ends of the cable, in the order of ranks. */
const HOSTS = ["10.77.0.1", "10.77.0.2"] as const;

/** Has `mpirun` of Open MPI take a host for lost that is silent for 10 s and does not answer three times, 3 s apart. */
const ALERT = Object.entries({ time: 10, intvl: 3, probes: 3 }).flatMap(([name, value]) => [
  ...["--mca", `oob_tcp_keepalive_${name}`, String(value)],
]);

/** Two network namespaces of this machine, with a name and an address each, that a cable (veth) joins: two hosts, as programs see it. */
export class TwoHosts {
  readonly #folder: string;
  readonly #names: readonly [string, string];
  readonly #cable: readonly [string, string];
  readonly #agent: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#names = [`ddsc-${process.pid}-a`, `ddsc-${process.pid}-b`];
    this.#cable = [`ddsc${process.pid}a`, `ddsc${process.pid}b`];
    this.#agent = join(folder, "agent");
  }

  /** Makes them, as root. @param undoLater told at once how they are removed, with all that runs in them */
  static async make(folder: string, undoLater: (undo: () => Promise<void>) => void): Promise<TwoHosts> {
    const hosts = new TwoHosts(folder);
    undoLater(() => hosts.#remove());
    const [[a, b], [cableA, cableB]] = [hosts.#names, hosts.#cable];
    await run(["ip", "netns", "add", a]);
    await run(["ip", "netns", "add", b]);
    await run(["ip", "link", "add", cableA, "netns", a, "type", "veth", "peer", "name", cableB, "netns", b]);
    for (const [i, name] of hosts.#names.entries()) {
      await run(["ip", "-n", name, "addr", "add", `${HOSTS[i]}/24`, "dev", hosts.#cable[i] ?? ""]);
      await run(["ip", "-n", name, "link", "set", "lo", "up"]);
      await run(["ip", "-n", name, "link", "set", hosts.#cable[i] ?? "", "up"]);
    }
    // In the place of ssh: HOST WORD..., which a shell is to run there.
    await writeFile(
      hosts.#agent,
      `#!/bin/sh\nhost=$1\nshift\ncase $host in ${HOSTS[0]}) set -- ${a} host-a "$*" ;; *) set -- ${b} host-b "$*" ;; esac\n` +
        `exec ip netns exec "$1" unshare --uts sh -c "hostname $2; $3"\n`,
    );
    await chmod(hosts.#agent, 0o755);
    return hosts;
  }

  /** What starts two processes of a program, one on each host, over TCP. @param isAlert whether Open MPI's is to notice a host that is lost */
  command(launcher: "Open MPI" | "MPICH", words: readonly string[], isAlert = false): string[] {
    const onFirst = ["ip", "netns", "exec", this.#names[0], "unshare", "--uts", "sh", "-c"];
    const hosts = HOSTS.map((host) => `${host}:1`).join();
    const launch =
      launcher === "Open MPI"
        ? [
            ...[
              "mpirun.openmpi",
              "--host",
              hosts,
              "--bind-to",
              "none",
              "--mca",
              "plm_rsh_agent",
              this.#agent,
            ],
            ...["--mca", "btl", "tcp,self", ...(isAlert ? ALERT : [])],
          ]
        : [
            ...["mpirun.mpich", "-hosts", hosts, "-launcher", "rsh", "-launcher-exec", this.#agent],
            ...["-localhost", HOSTS[0]],
          ];
    return [...onFirst, 'hostname host-a; exec "$@"', "sh", ...launch, "-n", "2", ...words];
  }

  /** Variables that `command` needs. UCX, below MPICH, would see that the hosts are one machine, and use its memory. */
  get env(): NodeJS.ProcessEnv {
    return { ...AS_ROOT, UCX_TLS: "tcp,self", TMPDIR: this.#folder };
  }

  /** Bytes that the first host has received. */
  async received(): Promise<number> {
    const { stdout } = await run(["ip", "-n", this.#names[0], "-s", "-j", "link", "show", this.#cable[0]]);
    const [link] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
    return link?.stats64.rx.bytes ?? Number.NaN;
  }

  /** Plugs the cable out, or in. */
  async connect(isUp: boolean): Promise<void> {
    await run(["ip", "-n", this.#names[0], "link", "set", this.#cable[0], isUp ? "up" : "down"]);
  }

  /** Processes that run on the hosts. */
  async processes(): Promise<number[]> {
    const lists = await Promise.all(this.#names.map((name) => run(["ip", "netns", "pids", name])));
    return lists.flatMap(({ stdout }) => stdout.split("\n").filter((line) => line !== "")).map(Number);
  }

  /** Ends what still runs on the hosts. */
  async clear(): Promise<void> {
    for (const pid of await this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }

  async #remove(): Promise<void> {
    await this.clear().catch(() => undefined);
    for (const name of this.#names) await run(["ip", "netns", "del", name]).catch(() => undefined);
  }
}
