import { describe, expect, it } from "vitest";
import { mpiLibraries } from "../../lib/cluster/libraries.js";
import { shareProcessors } from "../../lib/cluster/processors.js";

describe("the processors of a machine", () => {
  it("are divided among the ranks that may all run on them", () => {
    const all = Array.from({ length: 3 }, () => ({ machine: "a", processors: [0, 1, 2, 3, 4, 5, 6, 7] }));
    expect(shareProcessors(all, 1)).toEqual({ threads: 2, localRank: 1, localWorld: 3 });
  });

  it("are a rank's own where the launcher bound it to them", () => {
    const bound = [0, 1].map((rank) => ({ machine: "a", processors: [4 * rank, 4 * rank + 1] }));
    expect(shareProcessors(bound, 1)).toEqual({ threads: 2, localRank: 1, localWorld: 2 });
  });

  it("of other machines do not count, and everyone has one", () => {
    const all = [
      { machine: "a", processors: [0, 1] },
      { machine: "b", processors: [0] },
      { machine: "b", processors: [0] },
    ];
    expect(shareProcessors(all, 0)).toEqual({ threads: 2, localRank: 0, localWorld: 1 });
    expect(shareProcessors(all, 2)).toEqual({ threads: 1, localRank: 1, localWorld: 2 });
  });
});

describe("the MPI library", () => {
  it("is the launcher's, unless one is named", () => {
    expect(mpiLibraries({ launcher: "Open MPI", world: 2 }, {})[0]).toMatch(/libmpi\.(so\.40|40\.dylib)/);
    expect(mpiLibraries({ launcher: "PMI", world: 2 }, {})[0]).toMatch(/libmpi\.(so\.12|12\.dylib)/);
    expect(mpiLibraries({ launcher: "torchrun", world: 2 }, { DDSC_MPI_LIBRARY: "/x.so" })).toEqual([
      "/x.so",
    ]);
    expect(() => mpiLibraries({ launcher: "torchrun", world: 2 }, {})).toThrow(
      /CLUSTER_LAUNCHER: torchrun started 2/,
    );
  });

  it("is not loaded where srun has nothing by which it could connect: Open MPI would end the process", () => {
    const bySlurm = (env: NodeJS.ProcessEnv) => mpiLibraries({ launcher: "Slurm", world: 2 }, env);
    const refused = /CLUSTER_LAUNCHER: srun started 2 .*srun --mpi=pmix/;
    expect(() => bySlurm({ SLURM_PROCID: "0" })).toThrow(refused);
    expect(() => bySlurm({ SLURM_MPI_TYPE: "none" })).toThrow(refused);
    // What may connect it: a kind of srun's that sets no PMI_RANK, Cray's PALS, Slurm's own PMI under Intel MPI, and what the user names.
    const connected = [
      { SLURM_MPI_TYPE: "cray_shasta" },
      { PALS_RANKID: "0" },
      { I_MPI_PMI_LIBRARY: "/usr/lib/libpmi.so" },
      { DDSC_MPI_LIBRARY: "/x.so" },
    ];
    for (const env of connected) expect(bySlurm(env)).not.toEqual([]);
  });
});
