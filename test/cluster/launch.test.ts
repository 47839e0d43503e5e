import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeLaunch, readLaunch } from "../../lib/cluster/launch.js";

/** The names in which launchers say rank and world. */
const NAMES = [
  { launcher: "Open MPI", rank: "OMPI_COMM_WORLD_RANK", world: "OMPI_COMM_WORLD_SIZE" },
  { launcher: "PMI", rank: "PMI_RANK", world: "PMI_SIZE" },
  { launcher: "PMIx", rank: "PMIX_RANK", world: "PMIX_SIZE" },
  { launcher: "Slurm", rank: "SLURM_PROCID", world: "SLURM_STEP_NUM_TASKS" },
  { launcher: "torchrun", rank: "RANK", world: "WORLD_SIZE" },
  { launcher: "Kubernetes", rank: "JOB_COMPLETION_INDEX", world: "WORLD_SIZE" },
] as const;

const places = fc
  .integer({ min: 1, max: 5000 })
  .chain((world) => fc.record({ world: fc.constant(world), rank: fc.integer({ min: 0, max: world - 1 }) }));

describe("who a process is", () => {
  it("is alone without a launcher, and under DDSC_CLUSTER=off", () => {
    expect(readLaunch({})).toMatchObject({ rank: 0, world: 1, launcher: undefined });
    const off = { DDSC_CLUSTER: "off", RANK: "1", WORLD_SIZE: "2" };
    expect(readLaunch(off)).toMatchObject({ rank: 0, world: 1, launcher: undefined });
    expect(describeLaunch(readLaunch({}))).toBe("one process");
  });

  it.each(NAMES)("is what $launcher says, whatever the numbers", ({ launcher, rank, world }) => {
    fc.assert(
      fc.property(places, (place) => {
        const env = { [rank]: String(place.rank), [world]: String(place.world) };
        expect(readLaunch(env)).toMatchObject({ ...place, launcher });
      }),
    );
  });

  it.each(NAMES)("is an error that names the variable of $launcher where a number is none", (names) => {
    const texts = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom("-1", "1.5", "0x2", "1e3", "9999999999"),
    );
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(text.trim() !== "" && !/^\d{1,6}$/.test(text.trim()));
        const broken = { [names.rank]: text, [names.world]: "4" };
        expect(() => readLaunch(broken)).toThrow(new RegExp(`CLUSTER_ENVIRONMENT: ${names.rank}`));
      }),
    );
  });

  it.each(NAMES)("is an error where the rank of $launcher is not below the world", ({ rank, world }) => {
    fc.assert(
      fc.property(places, ({ world: size }) => {
        const env = { [rank]: String(size), [world]: String(size) };
        expect(() => readLaunch(env)).toThrow(/CLUSTER_ENVIRONMENT.*below the number of processes/);
      }),
    );
  });

  it("is an error that names both variables where one is missing", () => {
    expect(() => readLaunch({ RANK: "0" })).toThrow(/RANK is set and WORLD_SIZE is not/);
    expect(() => readLaunch({ WORLD_SIZE: "2" })).toThrow(/WORLD_SIZE is set and RANK is not/);
    expect(() => readLaunch({ PMI_RANK: "0" })).toThrow(/PMI_RANK is set and PMI_SIZE is not/);
    expect(() => readLaunch({ OMPI_COMM_WORLD_SIZE: "2" })).toThrow(/OMPI_COMM_WORLD_RANK is not/);
    expect(() => readLaunch({ PMI_ID: "1", PMI_PORT: "node1:4000" })).toThrow(
      /PMI_SIZE is not; leave out -pmi-port/,
    );
  });

  it("is an error that names both sides where launchers contradict one another", () => {
    const env = { OMPI_COMM_WORLD_RANK: "1", OMPI_COMM_WORLD_SIZE: "4", RANK: "2", WORLD_SIZE: "4" };
    expect(() => readLaunch(env)).toThrow(
      /OMPI_COMM_WORLD_RANK is 1 \(Open MPI\) and RANK is 2 \(torchrun\)/,
    );
    expect(readLaunch({ ...env, RANK: "1" })).toMatchObject({ rank: 1, world: 4, launcher: "Open MPI" });
  });

  it("believes an MPI launcher above the Slurm step of its own daemon", () => {
    const daemon = { SLURM_PROCID: "1", SLURM_STEP_NUM_TASKS: "2", SLURM_LOCALID: "0" };
    const env = { ...daemon, OMPI_COMM_WORLD_RANK: "5", OMPI_COMM_WORLD_SIZE: "8" };
    expect(readLaunch(env)).toMatchObject({ rank: 5, world: 8, launcher: "Open MPI" });
  });

  it("is alone in the script of a Slurm job, which is one process however many tasks the job has", () => {
    expect(readLaunch({ SLURM_PROCID: "0", SLURM_NTASKS: "4" })).toMatchObject({ world: 1 });
  });

  it("is alone in an indexed job of Kubernetes that names no number of processes", () => {
    expect(readLaunch({ JOB_COMPLETION_INDEX: "3" })).toMatchObject({ rank: 0, world: 1 });
  });

  it("knows the place in its machine and where to meet", () => {
    const env = {
      RANK: "3",
      WORLD_SIZE: "4",
      LOCAL_RANK: "1",
      LOCAL_WORLD_SIZE: "2",
      MASTER_ADDR: "node7",
      MASTER_PORT: "29500",
    };
    expect(readLaunch(env)).toMatchObject({
      localRank: 1,
      localWorld: 2,
      master: { host: "node7", port: 29500 },
    });
    expect(describeLaunch(readLaunch(env))).toMatch(/^rank 3 of 4 \(torchrun; local rank 1 of 2 on .+\)$/);
    expect(() => readLaunch({ ...env, MASTER_PORT: "http" })).toThrow(/MASTER_PORT is "http"/);
    expect(() => readLaunch({ ...env, LOCAL_RANK: "2" })).toThrow(
      /LOCAL_RANK is 2 and LOCAL_WORLD_SIZE is 2/,
    );
  });

  it("takes from Slurm how many tasks a node has where all have as many", () => {
    const step = { SLURM_PROCID: "3", SLURM_STEP_NUM_TASKS: "8", SLURM_LOCALID: "3" };
    expect(readLaunch({ ...step, SLURM_STEP_TASKS_PER_NODE: "4(x2)" }).localWorld).toBe(4);
    expect(readLaunch({ ...step, SLURM_STEP_TASKS_PER_NODE: "5,3" }).localWorld).toBeUndefined();
  });
});
