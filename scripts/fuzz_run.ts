import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** A single input may take so long (by the clock or of the processor, the lesser), and the process so much memory. */
const SILENCE_MS = 60_000;
const INPUT_MS = 5000;
const MEMORY_BYTES = 2 ** 30;

/** A damaged input. */
export interface FuzzInput {
  /** What was done to it, for messages. */
  readonly changes?: readonly string[];
  /** Reads it; gives what came of it in a word or two, and throws where it was not dealt with. This is timed. */
  use(): Promise<string>;
  /** Removes what it left. */
  remove?(): Promise<void>;
}

/** What a program that feeds damaged inputs is about. */
export interface FuzzProgram<K extends string> {
  /** `import.meta.url` of the program. */
  readonly url: string;
  /** Name of the option that chooses a kind of input. */
  readonly option: "format" | "kind";
  readonly kinds: readonly K[];
  /** Inputs between two lines that say how far it is. */
  readonly every: number;
  /** Makes ready for a kind; gives the maker of its inputs by number, and what to do in the end. */
  begin(kind: K): Promise<{ input(number: number): Promise<FuzzInput>; end?(): Promise<void> }>;
}

/**
 * Runs a program of `--inputs N --first N` and a kind, every kind in a process of its own, which is ended when it is silent for too
 * long. Ends at the first input that is not dealt with in 5 s and 1 GiB, and names it; exit code 1 then.
 */
export async function fuzz<K extends string>(program: FuzzProgram<K>): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "10000" },
      first: { type: "string", default: "0" },
      [program.option]: { type: "string" },
      worker: { type: "boolean", default: false },
    },
  });
  const [first, inputs] = [Number(values.first), Number(values.inputs)];
  const wanted = values[program.option];
  const chosen = program.kinds.filter((kind) => wanted === undefined || wanted === kind);
  if (values.worker === true && chosen[0] !== undefined) {
    await work(program, chosen[0], first, inputs);
    return;
  }
  let good = chosen.length > 0;
  for (const kind of chosen) good = (await run(program, kind, first, inputs)) && good;
  process.exitCode = good ? 0 : 1;
}

/** Runs inputs one after the other; ends the process at the first that is not dealt with. */
async function work<K extends string>(
  { begin, every }: FuzzProgram<K>,
  kind: K,
  first: number,
  inputs: number,
): Promise<void> {
  const { input, end } = await begin(kind);
  const outcomes = new Map<string, number>();
  let slowest = 0;
  let largest = 0;
  for (let number = first; number < first + inputs; number++) {
    const { changes, use, remove } = await input(number);
    const name = `${kind} input ${number}${changes === undefined ? "" : ` (${changes.join("; ")})`}`;
    const start = performance.now();
    const used = process.cpuUsage();
    try {
      const outcome = await use();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      console.error(`${name}:`, error);
      process.exit(1);
    }
    // On a machine that others use the clock goes on while this process waits for its turn.
    const { user, system } = process.cpuUsage(used);
    const milliseconds = Math.min(performance.now() - start, (user + system) / 1000);
    slowest = Math.max(slowest, milliseconds);
    largest = Math.max(largest, process.memoryUsage.rss());
    if (milliseconds > INPUT_MS || largest > MEMORY_BYTES) {
      console.error(`${name}: ${milliseconds.toFixed(0)} ms, ${mebibytes(largest)} MiB`);
      process.exit(1);
    }
    await remove?.();
    if (number % every === 0) console.log(`${kind} ${number}`);
  }
  const counted = [...outcomes].sort(([, a], [, b]) => b - a).map(([code, count]) => `${code} ${count}`);
  console.log(
    `${kind}: ${inputs} inputs, slowest ${slowest.toFixed(0)} ms, at most ${mebibytes(largest)} MiB; ${counted.join(", ")}`,
  );
  await end?.();
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

/** Runs a kind in a process of its own; whether all went well. */
function run<K extends string>(
  { url, option }: FuzzProgram<K>,
  kind: K,
  first: number,
  inputs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const options = ["--worker", `--${option}`, kind, "--first", String(first), "--inputs", String(inputs)];
    const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(url), ...options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let last = "";
    const alarm = setTimeout(() => {
      console.error(`${kind}: silent for ${SILENCE_MS / 1000} s after "${last}"`);
      child.kill("SIGKILL");
    }, SILENCE_MS);
    child.stdout.on("data", (text: Buffer) => {
      alarm.refresh();
      last = text.toString().trim().split("\n").at(-1) ?? last;
      if (last.includes("inputs")) console.log(last);
    });
    child.on("exit", (code, signal) => {
      clearTimeout(alarm);
      if (code !== 0) console.error(`${kind}: ended with ${signal ?? code} after "${last}"`);
      resolve(code === 0);
    });
  });
}
