import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Launch } from "../../lib/cluster/launch.js";
import { chooseTransport, secretOf } from "../../lib/cluster/transports.js";

const master = { host: "node7", port: 29_500 };

function transportOf(
  launcher: Launch["launcher"],
  env: NodeJS.ProcessEnv,
  met: Launch["master"] = undefined,
) {
  return chooseTransport({ launcher, world: 2, master: met }, env);
}

describe("the MPI library", () => {
  it("is the launcher's, unless one is named", () => {
    const first = (launcher: Launch["launcher"]) => {
      const transport = transportOf(launcher, {}, master);
      return transport.kind === "mpi" ? transport.libraries[0] : undefined;
    };
    expect(first("Open MPI")).toMatch(/libmpi\.(so\.40|40\.dylib)/);
    expect(first("PMI")).toMatch(/libmpi\.(so\.12|12\.dylib)/);
    const named = { kind: "mpi", libraries: ["/x.so"] };
    expect(transportOf("torchrun", { DDSC_MPI_LIBRARY: "/x.so" }, master)).toEqual(named);
  });

  it("is not loaded where the launcher's connection did not get here, as through npx: MPICH's would end the process", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    expect(transportOf("PMI", { PMI_FD: String(fd) }).kind).toBe("mpi");
    server.close();
    const closed = openSync(fileURLToPath(import.meta.url), "r");
    try {
      for (const given of [closed, 99_999]) {
        const env = { PMI_FD: String(given) };
        for (const more of [{}, { DDSC_MPI_LIBRARY: "/x.so" }])
          expect(() => transportOf("PMI", { ...env, ...more })).toThrow(
            /CLUSTER_LAUNCHER: .*PMI_FD.*node_modules\/\.bin\/ddsc in place of npx ddsc/,
          );
        expect(transportOf("PMI", env, master).kind).toBe("tcp");
      }
    } finally {
      closeSync(closed);
    }
  });

  it("is not loaded where srun has nothing by which it could connect: Open MPI would end the process", () => {
    const refused = /CLUSTER_LAUNCHER: srun started 2 .*srun --mpi=pmix.*MASTER_ADDR/;
    expect(() => transportOf("Slurm", { SLURM_PROCID: "0" })).toThrow(refused);
    expect(() => transportOf("Slurm", { SLURM_MPI_TYPE: "none" })).toThrow(refused);
    expect(transportOf("Slurm", { SLURM_MPI_TYPE: "none" }, master).kind).toBe("tcp");
    // What may connect it: a kind of srun's that sets no PMI_RANK, Cray's PALS, Slurm's own PMI under Intel MPI, and what the user names.
    const connected = [
      { SLURM_MPI_TYPE: "cray_shasta" },
      { PALS_RANKID: "0" },
      { I_MPI_PMI_LIBRARY: "/usr/lib/libpmi.so" },
      { DDSC_MPI_LIBRARY: "/x.so" },
    ];
    for (const env of connected) expect(transportOf("Slurm", env, master).kind).toBe("mpi");
  });
});

describe("TCP", () => {
  it.each(["torchrun", "Kubernetes"] as const)(
    "is what carries processes of %s, at MASTER_ADDR",
    (launcher) => {
      expect(transportOf(launcher, {}, master)).toEqual({ kind: "tcp", host: "node7", port: 29_500 });
      expect(transportOf(launcher, {}, { host: "a", port: undefined })).toMatchObject({ port: 29_500 });
      expect(() => transportOf(launcher, {})).toThrow(
        /CLUSTER_LAUNCHER: (torchrun|Kubernetes) started 2 .*MASTER_ADDR/,
      );
    },
  );

  it("meets beside the port of torchrun's own agent, and where DDSC_CLUSTER_PORT says", () => {
    const agent = { TORCHELASTIC_USE_AGENT_STORE: "True" };
    expect(transportOf("torchrun", agent, master)).toMatchObject({ port: 29_501 });
    expect(transportOf("torchrun", agent, { host: "a", port: 65_535 })).toMatchObject({ port: 65_534 });
    expect(transportOf("torchrun", { TORCHELASTIC_USE_AGENT_STORE: "False" }, master)).toMatchObject({
      port: 29_500,
    });
    expect(transportOf("torchrun", { ...agent, DDSC_CLUSTER_PORT: "7000" }, master)).toMatchObject({
      port: 7000,
    });
    for (const port of ["http", "0", "65536", "1.5"]) {
      expect(() => transportOf("torchrun", { DDSC_CLUSTER_PORT: port }, master)).toThrow(/DDSC_CLUSTER_PORT/);
    }
  });

  it("has the secret that is given, or torchrun's name of the job", () => {
    expect(secretOf({})).toBe("");
    expect(secretOf({ TORCHELASTIC_RUN_ID: "a" })).toBe("a");
    expect(secretOf({ TORCHELASTIC_RUN_ID: "a", DDSC_CLUSTER_SECRET: "b" })).toBe("b");
  });
});
