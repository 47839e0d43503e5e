import { isObject, parseJson } from "../../base/json.js";
import { readWhole } from "../../base/regular_files.js";
import { didYouMean } from "../../base/suggest.js";
import { checkOption, type OptionSpec, type OptionValue } from "./option_kinds.js";
import { UsageError } from "./usage_error.js";

/** Options are few and short. */
const MAX_FILE_BYTES = 2 ** 20;

/**
 * Options from a JSON file: an object by option name (`learningRate` or `learning-rate`), each checked as on the
 * command line. Throws a UsageError for a file that cannot be read or is no JSON object, an option that the
 * command does not take, one given in both spellings, and a value out of range.
 */
export async function readConfigFile(
  file: string,
  specs: Readonly<Record<string, OptionSpec>>,
): Promise<Map<string, OptionValue<OptionSpec>>> {
  const values = new Map<string, OptionValue<OptionSpec>>();
  for (const [key, value] of Object.entries(await readObject(file))) {
    const name = key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) {
      throw new UsageError(`${file}: unknown option "${key}"${didYouMean(name, Object.keys(specs))}`);
    }
    if (values.has(name)) throw new UsageError(`${file}: option "${name}" is given twice; keep one of them`);
    values.set(name, checkOption(key, spec, value, file));
  }
  return values;
}

async function readObject(file: string): Promise<object> {
  let json: unknown;
  try {
    json = parseJson(await readWhole(file, MAX_FILE_BYTES));
  } catch (cause) {
    const reason =
      cause instanceof SyntaxError
        ? `is no JSON: ${cause.message}`
        : `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new UsageError(`--config ${file} ${reason}`, { cause });
  }
  if (isObject(json)) return json;
  throw new UsageError(`--config ${file} holds no JSON object; expected {"learningRate": 0.0003, ...}`);
}
