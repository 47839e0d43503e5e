// How long a training step takes: masking, forward, loss with mean matching, backward, clipping, AdamW and EMA.
import { bench } from "./measure.js";
import { readBenchOptions } from "./options.js";

await bench("train step", readBenchOptions());
