#!/usr/bin/env node
/** The program `ddsc`. Exit codes: 0; 1 where the work failed; 2 for a wrong command line; 130, 143, 129 and 138 by signal. */
import { Command, CommanderError } from "commander";
import { DdscError } from "../base/errors.js";
import { printable, printableJson } from "../base/printable.js";
import { didYouMean } from "../base/suggest.js";
import { packageVersion } from "../base/version.js";
import { restartWithinLimit } from "./shared/address_space.js";
import { doAfterReport } from "./shared/after_report.js";
import { outliveReaders } from "./shared/closed_output.js";
import { addCommand, isUsage, type JsonResult } from "./shared/command.js";
import { Interrupted } from "./shared/interrupt.js";
import { UsageError } from "./shared/usage_error.js";

type Finish = (result: JsonResult, options: { readonly json: boolean }) => void;

/** Adds a command, loading what it needs. */
type AddCommand = (program: Command, finish: Finish) => Promise<void>;

/** The commands, in the order of the help. Each is loaded where it is asked for: the whole package takes a while. */
const COMMANDS: Readonly<Record<string, AddCommand>> = {
  train: async (to, finish) => addCommand(to, (await import("./train/train.js")).train, finish),
  watch: async (to, finish) => addCommand(to, (await import("./watch.js")).watch, finish),
  evaluate: async (to, finish) => addCommand(to, (await import("./evaluate.js")).evaluate, finish),
  compare: async (to, finish) => addCommand(to, (await import("./compare.js")).compare, finish),
  report: async (to, finish) => addCommand(to, (await import("./report.js")).report, finish),
  impute: async (to, finish) => addCommand(to, (await import("./impute/impute.js")).impute, finish),
  embed: async (to, finish) => addCommand(to, (await import("./embed.js")).embed, finish),
  generate: async (to, finish) => addCommand(to, (await import("./generate/generate.js")).generate, finish),
  inspect: async (to, finish) => addCommand(to, (await import("./inspect.js")).inspect, finish),
  convert: async (to, finish) => addCommand(to, (await import("./convert.js")).convert, finish),
  merge: async (to, finish) => addCommand(to, (await import("./merge.js")).merge, finish),
  import: async (to, finish) => addCommand(to, (await import("./weights/import.js")).importCommand, finish),
  export: async (to, finish) => addCommand(to, (await import("./weights/export.js")).exportCommand, finish),
  devices: async (to, finish) => addCommand(to, (await import("./devices.js")).devices, finish),
  doctor: async (to, finish) => addCommand(to, (await import("./doctor.js")).doctor, finish),
  profile: async (to, finish) => addCommand(to, (await import("./profile.js")).profile, finish),
  demo: async (to, finish) => addCommand(to, (await import("./demo.js")).demo, finish),
};

/** The program, with the command that is asked for; with all of them where it is none. */
async function buildProgram([first]: readonly string[]): Promise<Command> {
  const program = new Command("ddsc")
    .description(
      "Masked discrete diffusion for single-cell gene expression: train, evaluate, impute, embed, generate.",
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`ddsc: USAGE: ${oneLine(text.replace(/^error: /, ""))}\n`),
    });
  if (first === "--version" || first === "-V") return program;
  const finish: Finish = (result, { json }) => {
    if (json) process.stdout.write(`${printableJson(result)}\n`);
  };
  const asked = first !== undefined && Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  for (const add of asked === undefined ? Object.values(COMMANDS) : [asked]) await add(program, finish);
  return program;
}

/** Throws a UsageError where help is asked for about a command that there is not; commander would show the help of all. */
function checkHelp(program: Command, [first, name]: readonly string[]): void {
  if (first !== "help" || name === undefined || name.startsWith("-")) return;
  const known = [...program.commands.map((command) => command.name()), "help"];
  if (!known.includes(name)) throw new UsageError(`unknown command '${name}'${didYouMean(name, known)}`);
}

/** Says in one line what went wrong; returns the exit code. */
function report(error: unknown, words: readonly string[]): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const code =
    error instanceof DdscError ? error.code : error instanceof CommanderError ? "USAGE" : "INTERNAL";
  const text = oneLine(error instanceof Error ? error.message : String(error)).replace(`${code}: `, "");
  const message =
    code === "INTERNAL" ? `${text}; this is a defect: run it again with --debug and report it` : text;
  // Commander has written its own errors.
  if (!(error instanceof CommanderError)) process.stderr.write(`ddsc: ${code}: ${message}\n`);
  if ((words.includes("--debug") || process.env.DDSC_DEBUG) && error instanceof Error) {
    process.stderr.write(`${String(error.stack).split("\n").map(printable).join("\n")}\n`);
  }
  if (words.includes("--json")) process.stdout.write(`${printableJson({ error: { code, message } })}\n`);
  return code === "USAGE" || isUsage(error) ? 2 : 1;
}

function oneLine(text: string): string {
  return printable(text.trim().replace(/\s*\n\s*/g, " "));
}

restartWithinLimit();
outliveReaders(process);

const words = process.argv.slice(2);
try {
  const program = await buildProgram(words);
  checkHelp(program, words);
  await program.parseAsync(words, { from: "user" });
} catch (error) {
  process.exitCode = error instanceof Interrupted ? error.exitCode : report(error, words);
  doAfterReport();
}
