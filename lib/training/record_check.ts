import { isDeepStrictEqual } from "node:util";
import { DdscError } from "../base/errors.js";
import { isObject, type JsonObject } from "../base/json.js";
import { type LearningRateSchedule, resolveSchedule } from "./learning_rate.js";
import { optionsOf, type TrainerSettings, trainerSettings } from "./options.js";

/** Adds what records of older packages do not say: they had no lanes, and hid each share of a cell as often. */
export function addFormerDefaults({ settings }: JsonObject): void {
  if (!isObject(settings)) return;
  settings.lanes ??= 1;
  if (isObject(settings.queries)) settings.queries.mostlyHidden ??= 1;
}

/** What of a training's record, as it was read, is not as a training writes it; undefined: nothing. */
export function problemOf(json: JsonObject): string | undefined {
  const { settings, schedule, steps, data, state } = json;
  if (![settings, schedule, data, state].every(isObject)) return "a part of it is missing";
  if (!(steps === null || isCount(steps))) return "its steps are no number of steps";
  if (!isState(state)) return "its state is none";
  if (!isData(data)) return "its data are not described";
  // Checked: they are objects, whatever is in them.
  return settingsProblem(settings as TrainerSettings) ?? scheduleProblem(schedule as LearningRateSchedule);
}

/** Settings are good where the options that they are made from are. */
function settingsProblem(settings: TrainerSettings): string | undefined {
  return problemIn("settings", () => {
    const ofCounts = settings.queries !== null;
    const model = { maxLength: settings.maxLength, ofCounts, hidden: 1 };
    const again = trainerSettings(optionsOf(settings), model);
    // What is missing would silently take its default.
    if (!isDeepStrictEqual(again, settings)) throw new TypeError("a setting is missing or of no use");
  });
}

function scheduleProblem(schedule: LearningRateSchedule): string | undefined {
  return problemIn("schedule", () => {
    for (const value of [schedule.warmup, schedule.kind === "cosine" ? schedule.final : 0])
      if (typeof value !== "number") throw new TypeError("a number is missing");
    resolveSchedule(schedule, Number.MAX_SAFE_INTEGER);
  });
}

function problemIn(what: string, check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof DdscError) return `of its ${what}: ${error.text}`;
    if (error instanceof TypeError) return `its ${what} are incomplete`;
    throw error;
  }
}

function isState(state: unknown): boolean {
  if (!isObject(state) || !isObject(state.position)) return false;
  const { step, position, tokens, seconds, validatedStep, best } = state;
  return (
    [step, position.epoch, position.window, position.batch, tokens, validatedStep].every(isCount) &&
    isNumber(seconds) &&
    (best === null || (isObject(best) && isCount(best.step) && isNumber(best.nll)))
  );
}

function isData(data: unknown): boolean {
  if (!isObject(data)) return false;
  const { name, source, cells, genes, digest, parts, where, heldOut } = data;
  return (
    [name, digest, parts].every(isText) &&
    [cells, genes].every(isCount) &&
    (where === null || isText(where)) &&
    (heldOut === null || isHeldOut(heldOut)) &&
    (source === null || isSource(source, 0))
  );
}

function isHeldOut(heldOut: unknown): boolean {
  if (!isObject(heldOut)) return false;
  if (heldOut.kind === "where") return isText(heldOut.where);
  const { kind, fraction, seed } = heldOut;
  return kind === "fraction" && isNumber(fraction) && fraction >= 0 && fraction <= 1 && isCount(seed);
}

/** Sources within each other at most. */
const DEEPEST = 16;

function isSource(source: unknown, depth: number): boolean {
  if (!isObject(source) || depth > DEEPEST) return false;
  switch (source.kind) {
    case "file":
      return isText(source.path) && isObject(source.options);
    case "files":
      return (
        isText(source.name) &&
        Array.isArray(source.paths) &&
        source.paths.length > 0 &&
        source.paths.every(isText) &&
        isObject(source.options)
      );
    case "simulated":
      return isObject(source.options);
    case "concatenated":
      return (
        isText(source.name) &&
        Array.isArray(source.sources) &&
        source.sources.length > 0 &&
        source.sources.every((one) => isSource(one, depth + 1))
      );
    default:
      return false;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
