import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Purpose, RandomStream } from "../../lib/base/random.js";
import { type MeetingOptions, meet } from "../../lib/cluster/rendezvous.js";
import { parseAnswer, parseHello } from "../../lib/cluster/rendezvous_words.js";
import { NativeCommunicator, type NativeTcpJob } from "../../lib/native/communicator.js";
import { NativeDenoiser } from "../../lib/native/denoiser.js";

const TOKEN = "0123456789abcdef".repeat(4);

/** Ranks of one job, all in this process, that are joined. */
async function ranksOf(world: number, change: (job: NativeTcpJob) => NativeTcpJob = (job) => job) {
  const ranks = Array.from({ length: world }, () => new NativeCommunicator("tcp", 20));
  const peers = ranks.map(({ port }) => ({ hosts: ["127.0.0.1"], port }));
  const job = { token: TOKEN, seconds: 20, peers };
  await Promise.all(ranks.map((each, rank) => each.join(change({ ...job, rank }))));
  return ranks;
}

/** What both sides of a connection say first. */
function greeting(from: number, to: number, token = TOKEN): Buffer {
  const ranks = Buffer.alloc(8);
  ranks.writeUInt32LE(from, 0);
  ranks.writeUInt32LE(to, 4);
  return Buffer.concat([Buffer.from("ddscTCP1"), Buffer.from(token), ranks]);
}

/** A rank 0 and a socket that is taken for its rank 1. */
async function withImpostor() {
  const rank0 = new NativeCommunicator("tcp", 20);
  const peers = [rank0.port, 1].map((port) => ({ hosts: ["127.0.0.1"], port }));
  const joined = rank0.join({ rank: 0, token: TOKEN, seconds: 20, peers });
  const impostor = connect(rank0.port, "127.0.0.1");
  await once(impostor, "connect");
  impostor.write(greeting(1, 0));
  await joined;
  return { rank0, impostor };
}

function tinyModel(): NativeDenoiser {
  const config = {
    vocabSize: 5,
    geneVocabSize: 8,
    hidden: 16,
    blocks: 1,
    heads: 1,
    condDim: 16,
    dropout: 0,
    timeConditioning: true,
    rotary: true,
  };
  return new NativeDenoiser({ config, dtype: "fp32", device: "cpu", trainable: true });
}

describe("collectives over TCP", () => {
  it.each([2, 4])("of %i ranks bring to each what the others gave, short and long", async (world) => {
    const ranks = await ranksOf(world);
    for (const length of [0, 1, 256, 257, 3_000_000]) {
      const messages = ranks.map((_, rank) =>
        Uint8Array.from({ length: length + rank }, (_x, i) => i * 7 + rank),
      );
      const gathered = await Promise.all(ranks.map((each, rank) => each.gather(messages[rank]!)));
      for (const all of gathered)
        for (const [r, got] of all.entries()) expect(Buffer.compare(got, messages[r]!)).toBe(0);
      const told = await Promise.all(ranks.map((each, rank) => each.broadcast(messages[rank]!)));
      for (const got of told) expect(Buffer.compare(got, messages[0]!)).toBe(0);
    }
    await Promise.all(ranks.map((each) => each.leave()));
  });

  it("add up gradients in the order of ranks, the same bits on each", async () => {
    const ranks = await ranksOf(4);
    const models = ranks.map(() => tinyModel());
    const size = models[0]!.bufferSize;
    const random = new RandomStream(7, Purpose.shuffle, 0);
    const gradients = ranks.map(() =>
      Float32Array.from({ length: size }, () => (random.uniform() - 0.5) * 1e3),
    );
    const expected = new Float32Array(size);
    for (const gradient of gradients)
      for (let i = 0; i < size; i++) expected[i] = Math.fround(expected[i]! + gradient[i]!);
    await Promise.all(
      models.map(async (model, rank) => {
        await model.write("gradient", 0, gradients[rank]!);
        await model.sumGradient(ranks[rank]!);
        expect(await model.read("gradient", 0, size)).toEqual(expected);
        model[Symbol.dispose]();
      }),
    );
    await Promise.all(ranks.map((each) => each.leave()));
  });

  it("go on with the next address where one leads nowhere, or to another program", async () => {
    // Who hangs up on it may do so before it has read what was sent.
    const other = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n".repeat(8));
    });
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const ranks = [0, 1].map(() => new NativeCommunicator("tcp", 20));
    const own = ranks.map((each) => ({ hosts: ["127.0.0.1"], port: each.port }));
    // Rank 1 first tries what is not rank 0: an address without anybody, and one that is no address.
    const wrong = { hosts: ["no address", "127.0.0.77", "127.0.0.1"], port: ranks[0]!.port };
    const job = { token: TOKEN, seconds: 20 };
    await Promise.all([
      ranks[0]!.join({ ...job, rank: 0, peers: own }),
      ranks[1]!.join({ ...job, rank: 1, peers: [wrong, own[1]!] }),
    ]);
    expect((await Promise.all(ranks.map((each) => each.gather(new Uint8Array(1))))).length).toBe(2);
    const lost = new NativeCommunicator("tcp", 20);
    const alone = lost.join({
      ...job,
      seconds: 1,
      rank: 1,
      peers: [{ hosts: ["127.0.0.1"], port }, own[1]!],
    });
    await expect(alone).rejects.toThrow(
      /CLUSTER_TCP: rank 1 has no connection to rank 0; .*another program answers/,
    );
    other.close();
  });

  it("let nobody in who does not know the token, or is another rank", async () => {
    const rank0 = new NativeCommunicator("tcp", 20);
    const peers = [rank0.port, 1].map((port) => ({ hosts: ["127.0.0.1"], port }));
    const joined = rank0.join({ rank: 0, token: TOKEN, seconds: 1.5, peers });
    joined.catch(() => undefined);
    for (const words of [
      greeting(1, 0, "x".repeat(64)),
      greeting(2, 0),
      greeting(0, 0),
      greeting(1, 1),
      Buffer.alloc(80),
    ]) {
      const socket = connect(rank0.port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write(words);
      await once(socket, "close");
    }
    await expect(joined).rejects.toThrow(/CLUSTER_TCP: rank 0 has no connection to rank 1/);
  });

  it.each(["end", "resetAndDestroy"] as const)(
    "end in CLUSTER_PEER_LOST at once where a connection is closed (%s)",
    async (close) => {
      const { rank0, impostor } = await withImpostor();
      impostor.resume();
      const waiting = rank0.gather(new Uint8Array(3));
      await delay(50);
      impostor[close]();
      await expect(waiting).rejects.toThrow(/CLUSTER_PEER_LOST: rank 1 ended without a word/);
      await expect(rank0.gather(new Uint8Array(3))).rejects.toThrow(/CLUSTER_PEER_LOST: rank 1/);
    },
  );

  it("end with the reason of a lost peer where that is told", async () => {
    const { rank0, impostor } = await withImpostor();
    const waiting = rank0.gather(new Uint8Array(3));
    impostor.destroy();
    await delay(50);
    rank0.giveUp("CLUSTER_PEER_LOST", "rank 1 failed: a defect");
    await expect(waiting).rejects.toThrow("CLUSTER_PEER_LOST: rank 1 failed: a defect");
  });

  it("end in CLUSTER_MESSAGE where ranks do not make the same calls", async () => {
    const { rank0, impostor } = await withImpostor();
    const waiting = rank0.gather(new Uint8Array(3));
    impostor.write(Buffer.alloc(4096, 1));
    await expect(waiting).rejects.toThrow(/CLUSTER_MESSAGE: ranks do not make the same calls/);
    impostor.destroy();
  });
});

describe("the meeting of processes without MPI", () => {
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  /** A port that nobody listens on just now. */
  async function freePort(): Promise<number> {
    const server = createServer().listen(0);
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    return port;
  }

  async function optionsFor(world: number): Promise<Omit<MeetingOptions, "rank" | "listening">> {
    return { world, host: "127.0.0.1", port: await freePort(), secret: "s", seconds: 20 };
  }

  it("tells all the same, whoever comes first", async () => {
    const common = await optionsFor(3);
    const late = [2, 1, 0].map(async (rank) => {
      await delay((2 - rank) * 300);
      return meet({ ...common, rank, listening: 1000 + rank });
    });
    const met = await Promise.all(late);
    for (const { peers, token } of met) {
      expect(peers.map(({ port }) => port)).toEqual([1000, 1001, 1002]);
      for (const { hosts } of peers) expect(hosts[0]).toBe("127.0.0.1");
      expect(token).toMatch(/^[0-9a-f]{64}$/);
      expect(token).toBe(met[0]!.token);
    }
  });

  it("refuses who has another secret, another number of processes or a rank twice, and goes on with the others", async () => {
    const common = await optionsFor(3);
    const host = meet({ ...common, rank: 0, listening: 1 });
    const refused = (options: Partial<MeetingOptions>) =>
      expect(meet({ ...common, rank: 1, listening: 2, ...options })).rejects;
    await refused({ secret: "guessed" }).toThrow(
      /CLUSTER_RENDEZVOUS: .*refused rank 1: .*DDSC_CLUSTER_SECRET/,
    );
    await refused({ world: 4 }).toThrow(/refused rank 1: it was told of 4 processes and rank 0 of 3/);
    const first = meet({ ...common, rank: 1, listening: 2 });
    await delay(500);
    await refused({}).toThrow(new RegExp(`rank 1 came already, from ${hostname()}: two processes`));
    const last = meet({ ...common, rank: 2, listening: 3 });
    const tokens = (await Promise.all([host, first, last])).map(({ token }) => token);
    expect(new Set(tokens).size).toBe(1);
  });

  it("is not held up by who says nothing, nonsense or too much", async () => {
    const common = await optionsFor(2);
    const host = meet({ ...common, rank: 0, listening: 1 });
    await delay(200);
    for (const words of ["", "GET / HTTP/1.1\n", '{"kind":"hello"}\n', "x".repeat(100_000)]) {
      const socket = connect(common.port, "127.0.0.1");
      socket.on("error", () => undefined);
      sockets.push(socket);
      socket.write(words);
    }
    const [a, b] = await Promise.all([host, meet({ ...common, rank: 1, listening: 2 })]);
    expect(a!.token).toBe(b.token);
  });

  it("names the ranks that do not come, and the address where rank 0 is not", async () => {
    const common = { ...(await optionsFor(3)), seconds: 1 };
    await expect(meet({ ...common, rank: 0, listening: 1 })).rejects.toThrow(
      /CLUSTER_RENDEZVOUS: rank 1, 2 of 3 did not come to port \d+ of .* within 1 s.*MASTER_ADDR/,
    );
    await expect(meet({ ...common, rank: 2, listening: 1 })).rejects.toThrow(
      /CLUSTER_RENDEZVOUS: rank 2 did not meet rank 0 at 127\.0\.0\.1:\d+ within 1 s \(ECONNREFUSED\)/,
    );
  });

  it("says where another program has the port, to rank 0 and to the others", async () => {
    const other = createServer((socket) => {
      sockets.push(socket.on("error", () => undefined));
      socket.end("220 smtp\n");
    });
    other.listen(0);
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const common = { ...(await optionsFor(2)), port };
    await expect(meet({ ...common, rank: 0, listening: 1 })).rejects.toThrow(
      /CLUSTER_RENDEZVOUS: rank 0 cannot listen on port \d+ \(EADDRINUSE\): set DDSC_CLUSTER_PORT/,
    );
    await expect(meet({ ...common, rank: 1, listening: 1 })).rejects.toThrow(
      /CLUSTER_RENDEZVOUS: another program answers at .*DDSC_CLUSTER_PORT/,
    );
    other.close();
  });

  it("is not joined by one who answers without knowing the secret", async () => {
    const other = createServer((socket) => {
      sockets.push(socket.on("error", () => undefined));
      socket.write(`{"kind":"challenge","nonce":"a"}\n`);
      socket.once("data", () => {
        const places = [0, 1].map((port) => ({ machine: "a", hosts: [], port }));
        socket.write(`${JSON.stringify({ kind: "welcome", session: "a", places, proof: "a" })}\n`);
      });
    });
    other.listen(0);
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    await expect(meet({ ...(await optionsFor(2)), port, rank: 1, listening: 1 })).rejects.toThrow(
      /CLUSTER_RENDEZVOUS: what answers at .* does not know the secret/,
    );
    other.close();
  });

  it("takes nothing that is no word of it", () => {
    for (const text of [
      "",
      "1",
      "null",
      "{}",
      '{"kind":"hello","rank":-1}',
      '{"kind":"welcome","places":[1]}',
    ]) {
      expect(parseHello(text)).toBeUndefined();
      expect(parseAnswer(text)).toBeUndefined();
    }
  });
});
