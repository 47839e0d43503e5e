import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { didYouMean } from "../../../lib/base/suggest.js";
import { readConfigFile } from "../../../lib/cli/shared/config_file.js";
import {
  checkOption,
  describeOption,
  flagOf,
  type OptionSpec,
  parseOption,
} from "../../../lib/cli/shared/option_kinds.js";
import { OPTIONS } from "../../../lib/cli/shared/options.js";
import { UsageError } from "../../../lib/cli/shared/usage_error.js";

const specs: readonly [string, OptionSpec][] = Object.entries(OPTIONS);

describe("the option table", () => {
  it.each(specs)("%s has a default that its own check accepts", (name, spec) => {
    if (spec.kind === "flag" || spec.default === undefined) return;
    expect(checkOption(name, spec, spec.default)).toEqual(spec.default);
  });

  it.each(specs)(
    "%s says its default or its range in the help, unless it is a flag or has to be given",
    (_, spec) => {
      const text = describeOption(spec);
      if (spec.kind === "number") expect(text).toMatch(/to|at least/);
      if (spec.kind === "choice") for (const choice of spec.choices) expect(text).toContain(choice);
      if (spec.kind !== "flag" && spec.default !== undefined)
        expect(text).toContain(`default: ${String(spec.default)}`);
    },
  );
});

describe("parseOption", () => {
  it("reads every number within the range and refuses every other, naming the option", () => {
    const spec: OptionSpec = { kind: "number", help: "", min: -5, max: 5 };
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (drawn) => {
        const value = drawn + 0; // -0 prints as 0
        if (value >= -5 && value <= 5) expect(parseOption("learningRate", spec, String(value))).toBe(value);
        else expect(() => parseOption("learningRate", spec, String(value))).toThrow(/--learning-rate/);
      }),
    );
  });

  it.each(["", " ", "x", "1.5", "0", "1e99", "NaN", "Infinity"])(
    "refuses %j for a whole number from 1",
    (text) => {
      expect(() => parseOption("steps", OPTIONS.steps, text)).toThrow(UsageError);
    },
  );

  it.each(["1e3x", "NaN", "", "1,000"])("quotes %j where it is no number", (text) => {
    const message = `for --steps but received the text ${JSON.stringify(text)}`;
    expect(() => parseOption("steps", OPTIONS.steps, text)).toThrow(message);
    expect(() => parseOption("ratios", OPTIONS.ratios, "0.5,x")).toThrow(
      'for --ratios but received the text "x"',
    );
  });

  it("reads comma-separated numbers, and refuses a list with a hole", () => {
    expect(parseOption("ratios", OPTIONS.ratios, "0.1,0.5")).toEqual([0.1, 0.5]);
    expect(() => parseOption("ratios", OPTIONS.ratios, "0.1,,0.5")).toThrow(/--ratios/);
  });

  it("says the choices when none of them was given", () => {
    expect(() => parseOption("preset", OPTIONS.preset, "huge")).toThrow(
      "USAGE: expected one of nano, tiny, small, medium for --preset but received huge",
    );
  });

  it("refuses an empty file name", () => {
    expect(() => parseOption("data", OPTIONS.data, "")).toThrow(/--data/);
  });
});

describe("didYouMean", () => {
  it("finds words with a letter missing, swapped or too many", () => {
    const known = ["steps", "learningRate", "batch"];
    for (const typed of ["step", "setps", "stteps"]) expect(didYouMean(typed, known)).toContain('"steps"');
    expect(didYouMean("batsch", known)).toContain('"batch"');
  });

  it("keeps quiet about words that are far from all", () => {
    expect(didYouMean("colour", ["steps", "batch"])).toBe("");
  });
});

describe("readConfigFile", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ddsc-config-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const read = async (text: string) => {
    const file = join(folder, "config.json");
    await writeFile(file, text);
    return readConfigFile(file, OPTIONS);
  };

  it("takes names as in the table and as on the command line", async () => {
    const values = await read('{"learningRate": 0.001, "mean-matching": 1, "resume": true, "ratios": [0.3]}');
    expect(Object.fromEntries(values)).toEqual({
      learningRate: 0.001,
      meanMatching: 1,
      resume: true,
      ratios: [0.3],
    });
  });

  it.each([
    ['{"learninRate": 1}', 'unknown option "learninRate" (did you mean "learningRate"?)'],
    ['{"__proto__": 1}', 'unknown option "__proto__"'],
    ['{"steps": "10"}', "expected a whole number >= 1 and <= 1000000000 for steps in"],
    ['{"steps": "2"}', 'but received the text "2"'],
    ['{"steps": 0}', "for steps in"],
    ['{"resume": 1}', "expected true or false for resume in"],
    ['{"ratios": 0.5}', "expected a list of numbers for ratios in"],
    ['{"learning-rate": 0.1, "learningRate": 0.1}', 'option "learningRate" is given twice'],
    ["[1]", "holds no JSON object"],
    ["{", "is no JSON"],
  ])("refuses %s", async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
    await expect(read(text)).rejects.toBeInstanceOf(UsageError);
  });

  it("refuses a file that is not there", async () => {
    await expect(readConfigFile(join(folder, "none.json"), OPTIONS)).rejects.toThrow(
      "none.json cannot be read",
    );
  });
});

describe("flagOf", () => {
  it("writes a name as it is typed", () => {
    expect(flagOf("learningRateSchedule")).toBe("--learning-rate-schedule");
  });
});
