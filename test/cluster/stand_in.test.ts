import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { NativeCommunicator } from "../../lib/native/communicator.js";

const source = fileURLToPath(new URL("stand_in.cpp", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "ddsc-stand-in-"));
afterAll(() => rmSync(folder, { recursive: true }));

const hasCompiler = spawnSync("g++", ["--version"]).status === 0;
const title = hasCompiler
  ? "a library that stands in"
  : "a library that stands in (skipped: there is no g++)";

/** Builds a stand-in with the binary interface, and the fault, of these numbers. */
function standIn(abi: 1 | 2 | 3, fault = 0): string {
  const library = join(folder, `libmpi-${abi}-${fault}.so`);
  const words = [
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-O1",
    "-Wl,-Bsymbolic",
    `-DABI=${abi}`,
    `-DFAULT=${fault}`,
    source,
  ];
  const built = spawnSync("g++", [...words, "-o", library], { encoding: "utf8" });
  if (built.status !== 0) throw new Error(built.stderr);
  return library;
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe.skipIf(!hasCompiler)(title, () => {
  it.each([
    { abi: 1, told: "standard ABI", version: "A library of MPI 5 (stand-in)" },
    { abi: 2, told: "MPICH ABI", version: "Intel(R) MPI Library 2021.13 for Linux* OS" },
    { abi: 3, told: "Open MPI", version: "Open MPI v5.0.5, package: stand-in" },
  ] as const)(
    "for $version is told by its interface and given its handles",
    async ({ abi, told, version }) => {
      const file = standIn(abi);
      const communicator = new NativeCommunicator(["libnone.so.1", file], 20);
      expect(await communicator.join()).toEqual({ rank: 0, size: 2, file, version, abi: told });
      for (const length of [0, 1, 256, 257, 100_000]) {
        const message = bytes("x".repeat(length));
        expect(await communicator.gather(message)).toEqual([message, message]);
      }
      expect(await communicator.broadcast(bytes("from rank 0"))).toEqual(bytes("from rank 0"));
      await communicator.leave();
      await expect(communicator.gather(bytes(""))).rejects.toThrow(/CLUSTER_MPI: the cluster was left/);
    },
  );

  it("that never answers ends in CLUSTER_TIMEOUT, and so does every later call", async () => {
    const communicator = new NativeCommunicator([standIn(1, 1)], 1);
    await communicator.join();
    await expect(communicator.gather(bytes("a"))).rejects.toMatchObject({ code: "CLUSTER_TIMEOUT" });
    await expect(communicator.gather(bytes("a"))).rejects.toMatchObject({ code: "CLUSTER_TIMEOUT" });
  });

  it("that never answers is given up with the reason that is known", async () => {
    const communicator = new NativeCommunicator([standIn(2, 1)], 600);
    await communicator.join();
    const waiting = communicator.gather(bytes("a"));
    communicator.giveUp("CLUSTER_PEER_LOST", "rank 1 was killed");
    await expect(waiting).rejects.toThrow("CLUSTER_PEER_LOST: rank 1 was killed");
  });

  it("whose operation fails is quoted", async () => {
    const communicator = new NativeCommunicator([standIn(3, 2)], 20);
    await communicator.join();
    await expect(communicator.gather(bytes("a"))).rejects.toThrow(
      /CLUSTER_MPI: MPI_Iallgather failed: the stand-in/,
    );
  });

  it("without threads, or without a function, is refused", async () => {
    const threads = new NativeCommunicator([standIn(1, 3)], 20);
    await expect(threads.join()).rejects.toThrow(/CLUSTER_MPI: this MPI library supports no threads/);
    const missing = new NativeCommunicator([standIn(2, 4)], 20);
    await expect(missing.join()).rejects.toThrow(/CLUSTER_MPI_LIBRARY: .*has no MPI_Ialltoall/);
  });
});

describe("an MPI library", () => {
  it("that is not there, or is none, is an error that says what to install", async () => {
    const communicator = new NativeCommunicator(["libnone.so.1", "libc.so.6"], 20);
    await expect(communicator.join()).rejects.toThrow(
      /CLUSTER_MPI_LIBRARY: .*libnone\.so\.1.*libc\.so\.6 is no MPI library.*DDSC_MPI_LIBRARY/,
    );
  });
});
