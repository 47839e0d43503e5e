// npm run bench:length: how time grows with the length of cells, 128 to 4,096 tokens, for the same number of tokens in all.
// --batch times --length is that number.
import { orFail, readBenchOptions } from "./options.js";
import { median, rounded, secondsOf } from "./statistics.js";
import { openSubject } from "./subjects.js";

const LENGTHS = [128, 256, 512, 1024, 2048, 4096];
const options = readBenchOptions();

await orFail(async () => {
  for (const what of ["train step", "forward"] as const) {
    let shortest = Number.NaN;
    for (const length of LENGTHS) {
      const batch = Math.max(1, Math.round((options.batch * options.length) / length));
      using subject = await openSubject(what, { ...options, batch, length });
      await subject.run();
      const times: number[] = [];
      for (let i = 0; i < options.repeats; i++) times.push(await secondsOf(() => subject.run()));
      const microseconds = (median(times) / (batch * length)) * 1e6;
      const gflops = (subject.flops ?? Number.NaN) / median(times) / 1e9;
      if (Number.isNaN(shortest)) shortest = microseconds;
      const ratio = microseconds / shortest;
      console.log(
        options.json
          ? JSON.stringify({
              what,
              batch,
              length,
              microsecondsPerToken: rounded(microseconds, 2),
              gflops: rounded(gflops, 1),
              ratio: rounded(ratio, 3),
            })
          : `${what}, ${batch} x ${length}: ${microseconds.toFixed(1)} us a token (${ratio.toFixed(2)} times that of ` +
              `${LENGTHS[0]} tokens), ${gflops.toFixed(0)} GFLOP/s`,
      );
    }
  }
});
