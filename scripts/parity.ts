/**
 * npm run parity -- FILE... [--dtype fp32|bf16] [--json]
 *
 * Compares this build with answers of the reference: model, objective and schedule fixtures (.safetensors) and rank
 * fixtures (.json). Prints the relative error of each tensor; exits with 1 where one is past its tolerance or a file
 * cannot be used, with 2 for a wrong command line. DDSC_ISA forces an instruction set.
 */
import { parseArgs } from "node:util";
import { tableLines } from "../lib/cli/output.js";
import { DdscError } from "../lib/errors.js";
import { SafetensorsFile } from "../lib/model/safetensors.js";
import type { DType } from "../lib/native.js";
import type { Comparison } from "./parity/compare.js";
import { Fixture, notAFixture } from "./parity/fixture.js";
import { compareModel } from "./parity/model.js";
import { compareObjectives } from "./parity/objectives.js";
import { compareRanks } from "./parity/ranks.js";
import { compareSchedules } from "./parity/schedules.js";

interface FileReport {
  readonly file: string;
  /** For people: "cpu (avx512, 2 threads)". */
  readonly device: string;
  readonly dtype: DType;
  readonly tensors: readonly Comparison[];
  readonly passed: boolean;
}

async function compareFile(file: string, dtype: DType): Promise<FileReport> {
  const { device, tensors } = file.endsWith(".json")
    ? await compareRanks(file)
    : await compareTensors(file, dtype);
  return { file, device, dtype, tensors, passed: tensors.every(({ passed }) => passed) };
}

async function compareTensors(file: string, dtype: DType) {
  await using source = await SafetensorsFile.open(file);
  const fixture = new Fixture(source);
  const result = await compareFixture(fixture, dtype);
  const compared = new Set(result.tensors.map(({ name }) => name));
  for (const name of fixture.names("")) {
    if (/^(in|param)\./.test(name) || compared.has(name)) continue;
    throw notAFixture(file, `nothing is known to compare its tensor "${name}" with`);
  }
  return result;
}

async function compareFixture(fixture: Fixture, dtype: DType) {
  if (fixture.names("param.").length > 0) return await compareModel(fixture, dtype);
  if (fixture.has("in.logits")) return await compareObjectives(fixture);
  if (fixture.has("out.loglinear.sigma")) return await compareSchedules(fixture);
  throw notAFixture(fixture.file, "it holds neither a model's parameters, nor logits, nor schedules");
}

function printReport({ file, device, dtype, tensors, passed }: FileReport): void {
  const rows = tensors.map(({ name, error, tolerance, passed: good }) => [
    name,
    error.toExponential(2),
    tolerance.toExponential(0),
    good ? "ok" : "FAILED",
  ]);
  console.log(`${file}: ${dtype} on ${device}: ${passed ? "passed" : "FAILED"}`);
  for (const line of tableLines([["tensor", "relative error", "tolerance", ""], ...rows]))
    console.log(`  ${line}`);
}

/** The command line; undefined, having said why on stderr, where it is wrong. */
function readArguments(): { files: string[]; dtype: DType; json: boolean } | undefined {
  const usage = "usage: npm run parity -- FILE... [--dtype fp32|bf16] [--json]";
  try {
    const { values, positionals } = parseArgs({
      options: { dtype: { type: "string", default: "fp32" }, json: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    if (positionals.length > 0 && (values.dtype === "fp32" || values.dtype === "bf16")) {
      return { files: positionals, dtype: values.dtype, json: values.json };
    }
    console.error(usage);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
  return undefined;
}

async function main(): Promise<number> {
  const options = readArguments();
  if (options === undefined) return 2;
  const reports: FileReport[] = [];
  for (const file of options.files) {
    try {
      const report = await compareFile(file, options.dtype);
      reports.push(report);
      if (!options.json) printReport(report);
    } catch (error) {
      if (!(error instanceof DdscError)) throw error;
      console.error(`parity: ${error.message}`);
      return 1;
    }
  }
  const passed = reports.every((report) => report.passed);
  if (options.json) console.log(JSON.stringify({ passed, files: reports }));
  return passed ? 0 : 1;
}

process.exitCode = await main();
