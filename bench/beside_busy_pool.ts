// npm run bench:beside-busy-pool: how long a call of a model takes while hashes fill libuv's pool of four threads, which reads,
// decodes and tokenizes, beside the same call with the pool idle.
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { median, secondsOf } from "./statistics.js";
import { openSubject } from "./subjects.js";

const REPEATS = 7;
/** Hashes at once, twice as many as the pool has threads. */
const JOBS = 8;
/** Of each hash: some seconds on one core. */
const ROUNDS = 3_000_000;
/** What is aimed at: so many times the idle call, and so many milliseconds. */
const TARGET = { times: 4, plus: 50 };

const hash = promisify(pbkdf2);
using call = await openSubject("forward", {
  preset: "tiny",
  batch: 1,
  length: 256,
  genes: 20_000,
  dtype: "fp32",
  device: "cpu",
  dropout: 0,
  samplingSteps: 1,
});
const milliseconds = async () => 1000 * (await secondsOf(() => call.run()));

await call.run();
const idle: number[] = [];
for (let i = 0; i < REPEATS; i++) idle.push(await milliseconds());
const busy: number[] = [];
while (busy.length < REPEATS) {
  let running = JOBS;
  const jobs = Array.from({ length: JOBS }, () =>
    hash("password", "salt", ROUNDS, 64, "sha512").then(() => running--),
  );
  // Not one that ends beside fewer hashes than began with it, unless it had to wait for them.
  while (running === JOBS && busy.length < REPEATS) busy.push(await milliseconds());
  await Promise.all(jobs);
}
const [alone, beside] = [median(idle), median(busy)];
const aim = TARGET.times * alone + TARGET.plus;
console.log(
  `forward, tiny, 1 x 256 tokens, on ${call.device}: ${alone.toFixed(1)} ms idle, ${beside.toFixed(1)} ms beside ${JOBS} hashes ` +
    `(${(beside / alone).toFixed(2)} times; aimed at: at most ${aim.toFixed(0)} ms)`,
);
process.exitCode = beside <= aim ? 0 : 1;
