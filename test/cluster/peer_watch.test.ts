import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { DdscError } from "../../lib/base/errors.js";
import { type Meeting, PeerWatch, parseLine } from "../../lib/cluster/peer_watch.js";

let watches: PeerWatch[] = [];
afterEach(() => {
  for (const watch of watches) watch.leave();
  for (const watch of watches) watch.close();
  watches = [];
});

/** So many ranks in this process, and what each was told of lost peers. */
async function ranks(world: number) {
  const lost: string[][] = Array.from({ length: world }, () => []);
  const onLost = (rank: number) => (error: DdscError) => void lost[rank]!.push(error.message);
  const { watch, meeting } = await PeerWatch.listen(world, onLost(0), undefined);
  watches.push(watch);
  for (let rank = 1; rank < world; rank++) {
    const met = await PeerWatch.meet(rank, meeting, onLost(rank));
    expect(met).toBeDefined();
    watches.push(met!);
  }
  expect(await watch.complete(world - 1)).toBe(true);
  return { lost, meeting };
}

async function until(condition: () => boolean): Promise<void> {
  for (let round = 0; round < 500 && !condition(); round++) await delay(10);
  expect(condition()).toBe(true);
}

/** Sends text to rank 0; whether it hangs up. */
async function send({ port }: Meeting, text: string): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  socket.on("error", () => undefined);
  socket.write(text);
  const closed = await Promise.race([once(socket, "close").then(() => true), delay(2000, false)]);
  socket.destroy();
  return closed;
}

describe("peers that watch one another", () => {
  it("hear through rank 0 that one hung up without a word, each once", async () => {
    const { lost } = await ranks(4);
    watches[2]!.close();
    await until(() => [0, 1, 3].every((rank) => lost[rank]!.length > 0));
    for (const rank of [0, 1, 3])
      expect(lost[rank]).toEqual([expect.stringMatching(/^CLUSTER_PEER_LOST: rank 2 ended without a word/)]);
    expect(lost[2]).toEqual([]);
  });

  it("hear why one failed", async () => {
    const { lost } = await ranks(3);
    watches[1]!.fail("failed: DATA_NO_CELLS: there is no cell");
    await until(() => lost[0]!.length > 0 && lost[2]!.length > 0);
    for (const rank of [0, 2])
      expect(lost[rank]).toEqual([
        expect.stringMatching(
          /^CLUSTER_PEER_LOST: rank 1 failed: DATA_NO_CELLS: there is no cell; this rank/,
        ),
      ]);
  });

  it("hear that rank 0 is gone", async () => {
    const { lost } = await ranks(3);
    watches[0]!.close();
    await until(() => lost[1]!.length > 0 && lost[2]!.length > 0);
    expect(lost[1]).toEqual([expect.stringMatching(/^CLUSTER_PEER_LOST: rank 0 ended without a word/)]);
  });

  it("get some seconds to say that they end, too, until the one that failed goes", async () => {
    const { meeting } = await ranks(2);
    const isThere = async () => {
      const socket = connect({ host: "127.0.0.1", port: meeting.port });
      const answered = await once(socket, "connect").then(
        () => true,
        () => false,
      );
      socket.destroy();
      return answered;
    };
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      watches[0]!.fail("failed: RUN_EXISTS: it is there");
      await vi.advanceTimersByTimeAsync(7000);
      expect(await isThere()).toBe(true);
      await vi.advanceTimersByTimeAsync(3000);
      expect(await isThere()).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  it("hear nothing where all leave, one after the other", async () => {
    const { lost } = await ranks(3);
    for (const watch of watches) watch.leave();
    await delay(50);
    for (const watch of watches) watch.close();
    await delay(50);
    expect(lost).toEqual([[], [], []]);
  });

  it("take no notice of who does not know the secret, or sends without end", async () => {
    const { lost, meeting } = await ranks(2);
    const hello = JSON.stringify({ kind: "hello", token: "0".repeat(64), rank: 1 });
    const taken = JSON.stringify({ kind: "hello", token: meeting.token, rank: 1 });
    expect(await send(meeting, `${hello}\n`)).toBe(true);
    expect(await send(meeting, `${taken}\n`)).toBe(true);
    expect(await send(meeting, "GET / HTTP/1.1\r\n\r\n")).toBe(true);
    expect(await send(meeting, "x".repeat(10_000))).toBe(true);
    expect(lost).toEqual([[], []]);
  });

  it("read any line as one they know, or as none", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.object().map((each) => JSON.stringify(each)),
        ),
        (text) => {
          const line = parseLine(text);
          if (line !== undefined) expect(["hello", "beat", "bye", "ended", "lost"]).toContain(line.kind);
        },
      ),
    );
    expect(parseLine('{"kind":"lost","rank":-1,"why":"x"}')).toBeUndefined();
    expect(parseLine('{"kind":"lost","rank":2,"why":"x"}')).toEqual({ kind: "lost", rank: 2, why: "x" });
  });
});
