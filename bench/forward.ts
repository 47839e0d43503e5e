// How long a forward pass takes, the logits of every token included.
import { bench } from "./measure.js";
import { readBenchOptions } from "./options.js";

await bench("forward", readBenchOptions());
