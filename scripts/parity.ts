/**
 * npm run parity -- FILE... [--dtype fp32|bf16] [--device cpu|cuda|cuda:N] [--json]
 *
 * Compares this build with answers of the reference: model, objective and schedule fixtures (.safetensors) and rank
 * fixtures (.json). Prints the relative error of each tensor; exits with 1 where one is past its tolerance or a file
 * cannot be used, with 2 for a wrong command line. DDSC_ISA forces an instruction set. Ranks and schedules are worked out
 * on the host, whatever the device.
 */
import { parseArgs } from "node:util";
import { DdscError } from "../lib/base/errors.js";
import { tableLines } from "../lib/base/text_table.js";
import { SafetensorsFile } from "../lib/model/safetensors.js";
import type { DType } from "../lib/native/types.js";
import type { Comparison } from "./parity/compare.js";
import { compareCounts } from "./parity/counts.js";
import { Fixture, notAFixture } from "./parity/fixture.js";
import { compareModel } from "./parity/model.js";
import { compareObjectives } from "./parity/objectives.js";
import { compareRanks } from "./parity/ranks.js";
import { compareSchedules } from "./parity/schedules.js";

interface Options {
  readonly dtype: DType;
  readonly device: string;
}

interface FileReport {
  readonly file: string;
  /** For people: "cpu (avx512, 2 threads)". */
  readonly device: string;
  readonly dtype: DType;
  readonly tensors: readonly Comparison[];
  readonly passed: boolean;
}

async function compareFile(file: string, options: Options): Promise<FileReport> {
  const { device, tensors } = file.endsWith(".json")
    ? await compareRanks(file)
    : await compareTensors(file, options);
  return { file, device, dtype: options.dtype, tensors, passed: tensors.every(({ passed }) => passed) };
}

async function compareTensors(file: string, options: Options) {
  await using source = await SafetensorsFile.open(file);
  const fixture = new Fixture(source);
  const result = await compareFixture(fixture, options);
  const compared = new Set(result.tensors.map(({ name }) => name));
  for (const name of fixture.names("")) {
    if (/^(in|param)\./.test(name) || compared.has(name)) continue;
    throw notAFixture(file, `nothing is known to compare its tensor "${name}" with`);
  }
  return result;
}

async function compareFixture(fixture: Fixture, { dtype, device }: Options) {
  if (fixture.metadata.model === "counts") return await compareCounts(fixture, dtype, device);
  if (fixture.names("param.").length > 0) return await compareModel(fixture, dtype, device);
  if (fixture.has("in.logits")) return await compareObjectives(fixture, device);
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
function readArguments(): { files: string[]; options: Options; json: boolean } | undefined {
  const usage = "usage: npm run parity -- FILE... [--dtype fp32|bf16] [--device cpu|cuda|cuda:N] [--json]";
  try {
    const { values, positionals } = parseArgs({
      options: {
        dtype: { type: "string", default: "fp32" },
        device: { type: "string", default: "cpu" },
        json: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
    const { dtype, device, json } = values;
    if (positionals.length > 0 && (dtype === "fp32" || dtype === "bf16")) {
      return { files: positionals, options: { dtype, device }, json };
    }
    console.error(usage);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
  return undefined;
}

async function main(): Promise<number> {
  const given = readArguments();
  if (given === undefined) return 2;
  const reports: FileReport[] = [];
  for (const file of given.files) {
    try {
      const report = await compareFile(file, given.options);
      reports.push(report);
      if (!given.json) printReport(report);
    } catch (error) {
      if (!(error instanceof DdscError)) throw error;
      console.error(`parity: ${error.message}`);
      return 1;
    }
  }
  const passed = reports.every((report) => report.passed);
  if (given.json) console.log(JSON.stringify({ passed, files: reports }));
  return passed ? 0 : 1;
}

process.exitCode = await main();
