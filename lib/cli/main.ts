#!/usr/bin/env node
/** The program `ddsc`. Exit codes: 0; 1 where the work failed; 2 for a wrong command line; 130, 143 and 129 by signal. */
import { Command, CommanderError } from "commander";
import { DdscError } from "../base/errors.js";
import { printable, printableJson } from "../base/printable.js";
import { didYouMean } from "../base/suggest.js";
import { packageVersion } from "../model/version.js";
import { restartWithinLimit } from "./address_space.js";
import { outliveReaders } from "./closed_output.js";
import { addCommand, isUsage, type JsonResult } from "./command.js";
import { compare } from "./compare.js";
import { convert } from "./convert.js";
import { demo } from "./demo.js";
import { devices } from "./devices.js";
import { doctor } from "./doctor.js";
import { embed } from "./embed.js";
import { evaluate } from "./evaluate.js";
import { generate } from "./generate/generate.js";
import { impute } from "./impute/impute.js";
import { inspect } from "./inspect.js";
import { Interrupted } from "./interrupt.js";
import { profile } from "./profile.js";
import { train } from "./train.js";
import { UsageError } from "./usage_error.js";

function buildProgram(): Command {
  const program = new Command("ddsc")
    .description(
      "Masked discrete diffusion for single-cell gene expression: train, evaluate, impute, embed, generate.",
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`ddsc: USAGE: ${oneLine(text.replace(/^error: /, ""))}\n`),
    });
  const finish = (result: JsonResult, { json }: { readonly json: boolean }): void => {
    if (json) process.stdout.write(`${printableJson(result)}\n`);
  };
  addCommand(program, train, finish);
  addCommand(program, evaluate, finish);
  addCommand(program, compare, finish);
  addCommand(program, impute, finish);
  addCommand(program, embed, finish);
  addCommand(program, generate, finish);
  addCommand(program, inspect, finish);
  addCommand(program, convert, finish);
  addCommand(program, devices, finish);
  addCommand(program, doctor, finish);
  addCommand(program, profile, finish);
  addCommand(program, demo, finish);
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
  const program = buildProgram();
  checkHelp(program, words);
  await program.parseAsync(words, { from: "user" });
} catch (error) {
  process.exitCode = error instanceof Interrupted ? error.exitCode : report(error, words);
}
