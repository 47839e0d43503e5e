/**
 * npx tsx scripts/cluster_cost.ts [--measure] [--ranks 2] [--cells 16] [--launcher mpirun.openmpi]
 *
 * What several processes cost a training step, on paper (scripts/cluster/cost_model.ts): predictions for GPUs from published figures.
 * --measure trains here instead, on one process and on several of one thread each, and says how near the model comes: it is given the step
 * of one process and the seconds of a sum, and predicts the step of several.
 */
import { parseArgs } from "node:util";
import type { Measured } from "./cluster/cost_child.js";
import {
  costOf,
  type Network,
  operationsOf,
  parametersOf,
  type Shape,
  type Step,
} from "./cluster/cost_model.js";
import { AS_ROOT, run } from "./cluster/programs.js";

const { values } = parseArgs({
  options: {
    measure: { type: "boolean", default: false },
    ranks: { type: "string", default: "2" },
    cells: { type: "string", default: "16" },
    launcher: { type: "string", default: "mpirun.openmpi" },
  },
});

/**
 * NVIDIA H100 SXM: 989 TFLOP/s of dense bf16 products, of which a training step is taken to reach 35%; NVLink 450 GB/s in each direction within
 * 8 GPUs, InfiniBand NDR of 400 Gb/s a GPU between them, of which 80% is taken to be reached (data sheets of H100 and DGX H100).
 */
const H100 = { operationsPerSecond: 0.35 * 989e12, withinNode: 0.8 * 450e9, between: 0.8 * 50e9, node: 8 };
/** Seconds that a round between GPUs takes, whatever it carries: some 10 us within a node, 20 between nodes. */
const LATENCY = { withinNode: 10e-6, between: 20e-6 };

/** Shapes of which the published one is the first. */
const SHAPES: Readonly<Record<string, Shape & { readonly cells: number }>> = {
  "small (768 x 12), 128 cells": { hidden: 768, blocks: 12, genes: 62_710, length: 1024, cells: 128 },
  "small (768 x 12), 32 cells": { hidden: 768, blocks: 12, genes: 62_710, length: 1024, cells: 32 },
  "medium (1,024 x 24), 16 cells": { hidden: 1024, blocks: 24, genes: 62_710, length: 1024, cells: 16 },
};

function predict(): void {
  console.log(
    "| model, cells a GPU and step | GPUs | step of one | sent by each | sum | efficiency | with sums after backward |",
  );
  console.log("|---|---|---|---|---|---|---|");
  for (const [name, shape] of Object.entries(SHAPES)) {
    const { inBlocks, table } = parametersOf(shape);
    const step: Step = {
      seconds: operationsOf(shape, shape.cells) / H100.operationsPerSecond,
      parameters: inBlocks + table,
      inBlocks: inBlocks / (inBlocks + table),
      blocks: shape.blocks,
    };
    for (const gpus of [8, 64, 256, 1024]) {
      const isOneNode = gpus <= H100.node;
      const network: Network = {
        bytesPerSecond: isOneNode ? H100.withinNode : H100.between,
        latency: isOneNode ? LATENCY.withinNode : LATENCY.between,
        rounds: "tree",
        bucket: 16 * 2 ** 20,
      };
      const cost = costOf(step, network, gpus);
      const afterwards = costOf({ ...step, inBlocks: 0 }, network, gpus);
      console.log(
        `| ${name} | ${gpus} | ${ms(step.seconds)} | ${(cost.bytes / 1e6).toFixed(0)} MB | ${ms(cost.sumSeconds)} | ` +
          `${percent(cost.efficiency)} | ${percent(afterwards.efficiency)} |`,
      );
    }
  }
}

async function measure(): Promise<void> {
  const ranks = Number(values.ranks);
  const words = [process.execPath, "--import", "tsx", "scripts/cluster/cost_child.ts", values.cells];
  const crowded = values.launcher.includes("openmpi") ? ["--oversubscribe", "--bind-to", "none"] : [];
  const env = { ...AS_ROOT, DDSC_THREADS: "1" };
  const pairs: { one: Measured; several: Measured }[] = [];
  for (let pair = 0; pair < 3; pair++) {
    const one = await trained(words, { ...env, DDSC_CLUSTER: "off" });
    pairs.push({
      one,
      several: await trained([values.launcher, ...crowded, "-n", values.ranks, ...words], env),
    });
  }
  for (const { one, several } of pairs) {
    const gradient = 4 * one.parameters;
    const bytesPerSecond = (2 * ((ranks - 1) / ranks) * gradient) / several.sumSeconds;
    const network: Network = { bytesPerSecond, latency: 0, rounds: "direct", bucket: 4 * 2 ** 20 };
    const cost = costOf(one, network, ranks);
    console.log(
      `${values.cells} cells a process: one takes ${ms(one.seconds)} a step; ${ranks} send ${(cost.bytes / 1e6).toFixed(1)} MB each at ` +
        `${(bytesPerSecond / 1e6).toFixed(0)} MB/s, a sum of ${ms(cost.sumSeconds)}: predicted ${ms(cost.stepSeconds)} (efficiency ` +
        `${percent(cost.efficiency)}), measured ${ms(several.seconds)} (${percent(one.seconds / several.seconds)})`,
    );
  }
}

async function trained(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  const { stdout } = await run(words, env);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Measured;
}

function ms(seconds: number): string {
  return `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 1)} ms`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

if (values.measure) await measure();
else predict();
