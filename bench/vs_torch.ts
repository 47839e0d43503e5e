// npm run bench:vs-torch: training steps, forward passes and inpainting beside PyTorch, in turn on the same cores. Needs a
// Python that has torch, named by DDSC_TORCH_PYTHON.
import { spawnSync } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DdscError } from "../lib/base/errors.js";
import { NON_VALUE_TOKENS, presets } from "../lib/model/config.js";
import { DEFAULT_RANKS } from "../lib/tokenizer/index.js";
import { LineWorker, ownWorker, type Run } from "./line_worker.js";
import { orFail, orUsage, wholeOption } from "./options.js";
import { record } from "./record.js";
import { type Comparison, comparisons } from "./vs_torch_cases.js";
import { type ComparisonRow, comparisonRow, reportSection, rowInWords } from "./vs_torch_report.js";

const USAGE =
  "usage: DDSC_TORCH_PYTHON=PYTHON npm run bench:vs-torch -- [--quick] [--only PART,...] [--pairs N] [--threads N] " +
  "[--sampling-steps N] [--compile] [--record] [--json]\n" +
  "  --quick           preset tiny with one cell (inpainting: four), one pair of runs each\n" +
  "  --only            comparisons whose name contains a part: train-bf16-tiny, forward, inpaint, avx2\n" +
  "  --pairs           runs of each program, in turn (default 3; inpainting takes a third as many)\n" +
  "  --threads         threads of each program (default: all)\n" +
  "  --sampling-steps  runs of the network in inpainting (default 2)\n" +
  "  --compile         let PyTorch compile its model\n" +
  "  --record          write the table into docs/performance.md";
const GENES = 20_000;

const options = orUsage(USAGE, () => {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      pairs: { type: "string", default: "3" },
      threads: { type: "string", default: String(availableParallelism()) },
      "sampling-steps": { type: "string", default: "2" },
      compile: { type: "boolean", default: false },
      record: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const only = values.only.split(",").filter((part) => part !== "");
  if (values.record && (values.quick || only.length > 0)) {
    throw new DdscError("ARGUMENT_CONFLICT", "--record takes all comparisons; leave out --quick and --only");
  }
  const pairs = wholeOption("--pairs", values.pairs);
  const chosen = comparisons({ quick: values.quick, only, pairs });
  if (chosen.length === 0) {
    const names = comparisons({ quick: values.quick, only: [], pairs }).map(({ id }) => id);
    throw new DdscError("ARGUMENT_CHOICE", `--only ${values.only} chooses none of ${names.join(", ")}`);
  }
  return {
    chosen,
    threads: wholeOption("--threads", values.threads),
    samplingSteps: wholeOption("--sampling-steps", values["sampling-steps"]),
    compile: values.compile,
    record: values.record,
    json: values.json,
  };
});

/** The Python to measure with. Throws `BENCH_PEER` where it is not named, does not run or has no torch. */
function findTorch(python: string | undefined): string {
  if (python === undefined || python === "") {
    throw new DdscError(
      "BENCH_PEER",
      "set DDSC_TORCH_PYTHON to a Python that has torch, such as that of: python3 -m venv torch && torch/bin/pip install torch",
    );
  }
  const { status, stderr, error } = spawnSync(python, ["-c", "import torch"], { encoding: "utf8" });
  if (status === 0) return python;
  const reason = error?.message ?? stderr.trim().split("\n").at(-1) ?? "it failed";
  throw new DdscError("BENCH_PEER", `DDSC_TORCH_PYTHON=${python} cannot import torch: ${reason}`);
}

function torchWorker(python: string, env: Readonly<Record<string, string>>): LineWorker {
  const script = fileURLToPath(new URL("./peer/worker.py", import.meta.url));
  return new LineWorker("PyTorch", [python, script], { ...env, PYTHONDONTWRITEBYTECODE: "1" });
}

let device = "";
let peerName = "";

/** Runs both programs in turn. Throws `BENCH_PEER` where they do not do the same work. */
async function compare(comparison: Comparison, own: LineWorker, peer: LineWorker): Promise<ComparisonRow> {
  const { what, preset, batch, length, dtype, pairs, warmUp } = comparison;
  const { threads, samplingSteps, compile } = options;
  const shared = {
    what,
    preset,
    batch,
    length,
    genes: GENES,
    dtype,
    dropout: 0.1,
    samplingSteps,
    device: "cpu",
  };
  const opened = await own.open(shared);
  if (!comparison.avx2) device = opened.device ?? "";
  const vocabulary = DEFAULT_RANKS + NON_VALUE_TOKENS;
  peerName =
    (await peer.open({ ...shared, shape: presets[preset], vocabulary, threads, compile })).peer ?? "PyTorch";
  if (warmUp) for (const worker of [own, peer]) await worker.run();
  const ours: Run[] = [];
  const peers: Run[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    ours.push(await own.run());
    peers.push(await peer.run());
  }
  const evaluations = ours[0]?.evaluations ?? null;
  if ([...ours, ...peers].some((run) => run.evaluations !== evaluations)) {
    throw new DdscError(
      "BENCH_PEER",
      `${comparison.id}: ddsc ran the network ${evaluations} times a cell and PyTorch ${peers[0]?.evaluations} times`,
    );
  }
  const seconds = (runs: readonly Run[]) => runs.map((run) => run.seconds);
  return comparisonRow({ comparison, ours: seconds(ours), peers: seconds(peers), evaluations });
}

async function main(): Promise<void> {
  const python = findTorch(process.env.DDSC_TORCH_PYTHON);
  const rows: ComparisonRow[] = [];
  for (const avx2 of [false, true]) {
    const chosen = options.chosen.filter((comparison) => comparison.avx2 === avx2);
    if (chosen.length === 0) continue;
    await using own = ownWorker({
      DDSC_THREADS: String(options.threads),
      ...(avx2 ? { DDSC_ISA: "avx2" } : {}),
    });
    await using peer = torchWorker(
      python,
      // PyTorch's own kernels, oneDNN's and MKL's: float32 products are the last's.
      avx2 ? { ATEN_CPU_CAPABILITY: "avx2", DNNL_MAX_CPU_ISA: "AVX2", MKL_ENABLE_INSTRUCTIONS: "AVX2" } : {},
    );
    for (const comparison of chosen) {
      const row = await compare(comparison, own, peer);
      rows.push(row);
      console.log(options.json ? JSON.stringify(row) : rowInWords(row, peerName));
    }
  }
  if (!options.record) return;
  const section = reportSection(rows, peerName, {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model ?? "an unknown processor",
    device,
    command: ["DDSC_TORCH_PYTHON=PYTHON npm run bench:vs-torch --", ...process.argv.slice(2)].join(" "),
  });
  await record("vs-torch", section);
}

await orFail(main);
