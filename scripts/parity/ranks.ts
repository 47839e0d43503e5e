import { readFile } from "node:fs/promises";
import { DdscError } from "../../lib/base/errors.js";
import { QuantileRanks } from "../../lib/tokenizer/quantile_ranks.js";
import { Comparisons } from "./compare.js";
import { notAFixture } from "./fixture.js";

interface RankCases {
  readonly bins: number;
  readonly cases: readonly { readonly name: string; readonly values: number[]; readonly ranks: number[] }[];
}

/** Ranks of counts, which must be equal. */
export async function compareRanks(file: string) {
  const { bins, cases } = await readCases(file);
  const strategy = new QuantileRanks({ bins });
  const comparisons = new Comparisons("fp32");
  for (const { name, values, ranks } of cases) {
    const ours = new Int32Array(values.length);
    strategy.encode(Float32Array.from(values), ours);
    comparisons.add(name, "exact", ours, ranks);
  }
  return { device: "cpu", tensors: comparisons.list };
}

async function readCases(file: string): Promise<RankCases> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw notAFixture(file, `it is no JSON (${cause.message})`);
    throw new DdscError(
      "FILE_READ",
      `${file}: cannot be read (${String(cause)}); check the path`,
      { file },
      { cause },
    );
  }
  if (isRankCases(json)) return json;
  throw notAFixture(file, "it holds no {bins, cases: [{name, values, ranks}]}");
}

function isRankCases(json: unknown): json is RankCases {
  if (typeof json !== "object" || json === null || !("bins" in json) || !("cases" in json)) return false;
  return (
    typeof json.bins === "number" &&
    Array.isArray(json.cases) &&
    json.cases.every(
      (one: Partial<RankCases["cases"][number]> | null) =>
        typeof one?.name === "string" && isNumbers(one.values) && isNumbers(one.ranks),
    )
  );
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === "number");
}
