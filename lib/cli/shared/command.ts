import { type Command, Option } from "commander";
import { DdscError } from "../../base/errors.js";
import { inOptionNames } from "./argument_names.js";
import { readConfigFile } from "./config_file.js";
import { InterruptListener } from "./interrupt.js";
import {
  describeOption,
  flagOf,
  flagWithValue,
  type OptionSpec,
  type OptionValue,
  parseOption,
} from "./option_kinds.js";
import { EVERYWHERE, OPTIONS, type OptionName, type OptionValues } from "./options.js";
import { Output } from "./output.js";
import { UsageError } from "./usage_error.js";

/** The result of a command, for `--json`. */
export type JsonResult = Readonly<Record<string, unknown>>;

/** What a command gets besides its options. */
export interface CommandContext {
  readonly output: Output;
  /** Aborted by Ctrl-C, SIGTERM, SIGHUP or SIGUSR1, with an `Interrupted` as the reason. */
  readonly signal: AbortSignal;
  /** Whether the user gave this option, on the command line or in the configuration file. */
  given(name: OptionName): boolean;
}

/** One command of the program. `N` are the options it takes, `R` those it cannot do without. */
export interface CommandSpec<N extends OptionName, R extends N> {
  readonly name: string;
  readonly summary: string;
  /** Further help: what comes out, an example. */
  readonly details?: string;
  /** Positional arguments in order, given to `run` as `options.files`. */
  readonly files?: readonly FileArgument[];
  /** How the help writes options and arguments; left out, it follows from `files`. */
  readonly usage?: string;
  readonly options: readonly N[];
  readonly required: readonly R[];
  /** Defaults other than the table's. */
  readonly defaults?: { readonly [K in N]?: OptionValue<(typeof OPTIONS)[K]> };
  /** What differs from the table where an option is not the same for every command: its help, its range. */
  readonly texts?: { readonly [K in N]?: OptionText };
  run(options: OptionValues<N, R> & FilesGiven, context: CommandContext): Promise<JsonResult>;
}

/** What an option is for one command. */
export interface OptionText {
  readonly help?: string;
  readonly defaultText?: string;
  /** Of a number. */
  readonly min?: number;
  readonly max?: number;
}

/** A positional argument. */
export interface FileArgument {
  readonly name: string;
  readonly help: string;
  /** Whether it may be left out; those after it may then be, too. */
  readonly isOptional?: boolean;
  /** Whether there may be several, one after the other; only the last argument. */
  readonly isRepeated?: boolean;
}

/** The positional arguments that were given, in order. */
interface FilesGiven {
  readonly files: readonly string[];
}

/** Lets the compiler work out which options a command takes. */
export function defineCommand<const N extends OptionName = never, const R extends N = never>(
  spec: CommandSpec<N, R>,
): CommandSpec<N, R> {
  return spec;
}

/** Adds a command to the program. `finish` is given its result as the last thing. */
export function addCommand<N extends OptionName, R extends N>(
  program: Command,
  spec: CommandSpec<N, R>,
  finish: (result: JsonResult, options: { readonly json: boolean }) => void,
): void {
  const names: readonly OptionName[] = [...spec.options, ...EVERYWHERE];
  const specs: Partial<Record<OptionName, OptionSpec>> = {};
  const defaults: Readonly<Record<string, OptionValue<OptionSpec> | undefined>> = spec.defaults ?? {};
  const texts: Readonly<Record<string, object | undefined>> = spec.texts ?? {};
  for (const name of names) {
    specs[name] = { ...withDefault(OPTIONS[name], defaults[name]), ...texts[name] };
  }
  const command = program.command(spec.name).description(spec.summary);
  const files = spec.files ?? [];
  for (const { name, help, isOptional, isRepeated } of files) {
    const shown = isRepeated === true ? `${name}...` : name;
    command.argument(isOptional === true ? `[${shown}]` : `<${shown}>`, help);
  }
  if (spec.usage !== undefined) command.usage(spec.usage);
  if (spec.details !== undefined) command.addHelpText("after", `\n${spec.details}`);
  for (const [name, option] of Object.entries(specs)) {
    const required = (spec.required as readonly string[]).includes(name);
    const help = describeOption(option);
    const shown = new Option(flagWithValue(name, option), required ? `${help} (required)` : help);
    if (option.kind !== "flag") {
      shown.argParser((text: string, before: unknown) => {
        const joins = option.kind === "text" && option.repeats === true && typeof before === "string";
        return parseOption(name, option, joins ? `${before},${text}` : text);
      });
    }
    command.addOption(shown);
  }
  command.action(async (...given: unknown[]) => {
    const typed = withBareValues(command.opts<Record<string, OptionValue<OptionSpec> | undefined>>(), specs);
    const config = typeof typed.config === "string" ? await readConfigFile(typed.config, specs) : new Map();
    const known: Record<string, unknown> = {
      files: given
        .slice(0, files.length)
        .flat()
        .filter((file) => file !== undefined),
    };
    for (const [name, option] of Object.entries(specs)) {
      known[name] = typed[name] ?? config.get(name) ?? (option.kind === "flag" ? false : option.default);
    }
    for (const name of spec.required) {
      if (known[name] !== undefined) continue;
      const needed: OptionSpec = specs[name] ?? OPTIONS[name];
      throw new UsageError(`${spec.name} needs ${flagWithValue(name, needed)}: ${needed.help}`);
    }
    // Checked above option by option: the record has the shapes that OptionValues describes.
    const options = known as OptionValues<N, R> & FilesGiven;
    const { quiet, json } = known as OptionValues<(typeof EVERYWHERE)[number]>;
    const output = new Output({
      results: quiet && json ? undefined : process.stdout,
      notes: process.stderr,
      quiet,
    });
    using interrupt = new InterruptListener(() =>
      output.note("stopping; press Ctrl-C again to stop at once"),
    );
    const context: CommandContext = {
      output,
      signal: interrupt.signal,
      given: (name) => typed[name] !== undefined || config.has(name),
    };
    try {
      const result = await spec.run(options, context);
      if (!output.isSilent) finish(result, { json });
    } catch (error) {
      throw error instanceof DdscError && !(error instanceof UsageError)
        ? inOptionNames(error, names)
        : error;
    } finally {
      // Whatever an interrupted command ran into, and also where it stopped in good order.
      interrupt.signal.throwIfAborted();
    }
  });
}

/** What was typed, with the value of a number's flag that stands alone, for which commander gives true. */
function withBareValues(
  typed: Readonly<Record<string, OptionValue<OptionSpec> | undefined>>,
  specs: Readonly<Partial<Record<string, OptionSpec>>>,
): Readonly<Record<string, OptionValue<OptionSpec> | undefined>> {
  const typedValue = (name: string, value: OptionValue<OptionSpec> | undefined) => {
    const spec = specs[name];
    return value === true && spec?.kind === "number" ? spec.bare : value;
  };
  return Object.fromEntries(Object.entries(typed).map(([name, value]) => [name, typedValue(name, value)]));
}

/** An option as a command has it. The type of `CommandSpec.defaults` makes the value one of the option's own kind. */
function withDefault(spec: OptionSpec, value: OptionValue<OptionSpec> | undefined): OptionSpec {
  return value === undefined ? spec : ({ ...spec, default: value } as OptionSpec);
}

/** Throws a UsageError where two options that exclude each other are both given. */
export function checkExclusive(context: CommandContext, a: OptionName, b: OptionName): void {
  if (context.given(a) && context.given(b)) {
    throw new UsageError(`${flagOf(a)} and ${flagOf(b)} exclude each other; give one of them`);
  }
}

/** Whether the command line or an argument was wrong, rather than the work having failed. */
export function isUsage(error: unknown): boolean {
  return error instanceof UsageError || (error instanceof DdscError && error.code.startsWith("ARGUMENT_"));
}
