// How long a forward pass takes, the logits of every token included.
import { benchBatch, benchModel } from "./inputs.js";
import { bench, forwardFlops } from "./measure.js";
import { readBenchOptions } from "./options.js";

const options = readBenchOptions();
const { config, native } = await benchModel(options, false);
using model = native;
const batch = benchBatch(options);
const conditioning = new Float32Array(options.batch);
const rows = Int32Array.from(batch.tokens.keys());

await bench(options, {
  what: "forward",
  repeats: options.repeats,
  flops: forwardFlops(config, options.length, batch.tokens.length),
  run: async () => {
    using _prediction = await model.predict(batch, { conditioning, rows });
  },
});
