// How long filling in half of each cell takes, by ancestral steps.
import { bench } from "./measure.js";
import { readBenchOptions } from "./options.js";

const options = readBenchOptions();
await bench("inpaint", options, Math.max(1, Math.floor(options.repeats / 3)));
