// npm run bench:threads: how much faster a training step and a forward pass are with more threads, from one to all cores.
import { availableParallelism } from "node:os";
import { ownWorker } from "./line_worker.js";
import { orFail, readBenchOptions } from "./options.js";
import { median, rounded } from "./statistics.js";

const options = readBenchOptions();
const cores = availableParallelism();
const counts: number[] = [];
for (let threads = 1; threads < cores; threads *= 2) counts.push(threads);
counts.push(cores);

await orFail(async () => {
  for (const what of ["train step", "forward"] as const) {
    let single = Number.NaN;
    for (const threads of counts) {
      await using worker = ownWorker({ DDSC_THREADS: String(threads) });
      await worker.open({ ...options, what });
      await worker.run();
      const times: number[] = [];
      for (let i = 0; i < options.repeats; i++) times.push((await worker.run()).seconds);
      const seconds = median(times);
      if (threads === 1) single = seconds;
      const speedUp = single / seconds;
      console.log(
        options.json
          ? JSON.stringify({ what, threads, seconds: rounded(seconds, 4), speedUp: rounded(speedUp, 3) })
          : `${what}, ${threads} threads: ${seconds.toFixed(3)} s, ${speedUp.toFixed(2)} times as fast as one`,
      );
    }
  }
});
