/** Damaged models and runs, and the use of them, for the fuzzer and its test. */
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DdscError } from "../lib/base/errors.js";
import { Purpose, RandomStream } from "../lib/base/random.js";
import {
  Denoiser,
  denoiseCells,
  embedCells,
  evaluate,
  GeneVocabulary,
  generate,
  generateCells,
  MemorySource,
  readRecord,
  simulateCells,
  streamCells,
  Trainer,
} from "../lib/index.js";
import { damaged, type Random } from "./damaged.js";

export const MODEL_KINDS = ["counts", "ranks"] as const;
export type ModelKind = (typeof MODEL_KINDS)[number];

/** Files of a run, relative to its folder. */
type Files = ReadonlyMap<string, Buffer>;

/** The step that the run was trained for. */
const STEPS = 2;

function cells(): MemorySource {
  return new MemorySource(simulateCells({ cells: 40, genes: 24, seed: 3 }).cells);
}

/** Trains a small run in a folder; the files of its last checkpoint and its metrics. */
export async function originalRun(kind: ModelKind, folder: string): Promise<Files> {
  const source = cells();
  using model = await Denoiser.create({
    values: kind,
    vocabulary: GeneVocabulary.from(source),
    shape: { hidden: 32, heads: 2, blocks: 1, condDim: 8 },
    seed: 5,
    ...(kind === "counts" ? {} : { tokenizer: { maxLength: 24 } }),
  });
  const trainer = new Trainer(model, {
    folder,
    batchCells: 8,
    worker: false,
    validation: { fraction: 0.2, every: 2, cells: 4 },
  });
  for await (const _step of trainer.fit(source, { steps: STEPS }));
  const files = new Map<string, Buffer>();
  for (const name of await readdir(join(folder, `step-${STEPS}`)))
    files.set(name, await readFile(join(folder, `step-${STEPS}`, name)));
  files.set("../metrics.jsonl", await readFile(join(folder, "metrics.jsonl")));
  return files;
}

/** Writes a run with one to four of its files damaged, the same each time for a number; says what was done to it. */
export async function damagedRun(original: Files, folder: string, number: number): Promise<string[]> {
  const stream = new RandomStream(number, Purpose.draw);
  const random = (below: number): number => stream.below(below);
  const files = new Map(original);
  const changes: string[] = [];
  const names = [...files.keys()];
  for (let times = 1 + random(4); times > 0; times--) {
    const name = names[random(names.length)] ?? "";
    const bytes = files.get(name);
    if (bytes === undefined) continue;
    const [after, change] = changed(name, bytes, files, random);
    changes.push(`${name}: ${change}`);
    if (after === undefined) files.delete(name);
    else files.set(name, after);
  }
  const checkpoint = join(folder, `step-${STEPS}`);
  await mkdir(checkpoint, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(checkpoint, name), bytes);
  for (const link of ["last", "best"]) await symlink(`step-${STEPS}`, join(folder, link));
  return changes;
}

/** A file after damage, undefined where it is gone, and what was done. */
function changed(
  name: string,
  bytes: Buffer,
  files: Files,
  random: Random,
): readonly [Buffer | undefined, string] {
  const kind = random(12);
  if (kind === 0) return [undefined, "removed"];
  if (kind === 1) {
    const others = [...files.values()];
    return [others[random(others.length)], "another file"];
  }
  if (name.endsWith(".safetensors")) return damagedTensors(bytes, random);
  if (kind === 2) return [damaged(bytes, random), "bytes"];
  if (name.endsWith(".jsonl")) {
    const lines = bytes.toString().trimEnd().split("\n");
    const at = random(lines.length);
    const [line, change] = damagedJson(lines[at] ?? "{}", random);
    lines[at] = line;
    return [Buffer.from(`${lines.join("\n")}\n`), change];
  }
  const [text, change] = damagedJson(bytes.toString(), random);
  return [Buffer.from(text), change];
}

/** Damage to weights: to the header as JSON, to its length, or to a number. */
function damagedTensors(bytes: Buffer, random: Random): readonly [Buffer, string] {
  const length = Number(bytes.readBigUInt64LE(0));
  const kind = random(4);
  if (length > bytes.length - 8 || kind === 0) return [damaged(bytes, random), "bytes"];
  if (kind === 1) {
    const at = 8 + length + 4 * random(Math.max(1, Math.floor((bytes.length - 8 - length) / 4)));
    const after = Buffer.from(bytes);
    const values = [Number.NaN, Number.POSITIVE_INFINITY, 1e38, -1e38, 1e20, -3e9, 0, 1e-45];
    const value = values[random(values.length)] ?? 0;
    if (at + 4 <= after.length) after.writeFloatLE(value, at);
    return [after, `a weight of ${value}`];
  }
  const [text, change] = damagedJson(bytes.toString("utf8", 8, 8 + length), random);
  const header = Buffer.from(text);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return [Buffer.concat([size, header, bytes.subarray(8 + length)]), `header, ${change}`];
}

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  2,
  3,
  0.5,
  1e9,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 31),
  1e300,
  -1e-300,
  1e-320,
  "",
  "x",
  "1",
  "NaN",
  "__proto__",
  "../../../../etc/passwd",
  "\u0000",
  [],
  {},
  [null],
  [[]],
  { length: 1e9 },
];

/** JSON in which one value, wherever, became another, went, or was moved; now and then a text of other damage. */
function damagedJson(text: string, random: Random): readonly [string, string] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return [damaged(Buffer.from(text), random).toString("latin1"), "bytes"];
  }
  const places: { readonly parent: Record<string, unknown>; readonly key: string; readonly path: string }[] =
    [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null) return;
    const parent = value as Record<string, unknown>;
    for (const key of Object.keys(parent)) {
      places.push({ parent, key, path: `${path}.${key}` });
      visit(parent[key], `${path}.${key}`);
    }
  };
  visit(json, "");
  // Long lists would be all that is ever damaged.
  const shallow = places.filter(({ path }) => path.split(".").length <= 3);
  const among = random(2) === 0 ? shallow : places;
  const place = among[random(Math.max(1, among.length))];
  if (place === undefined) return ["null", "no JSON object"];
  const { parent, key, path } = place;
  const other = places[random(places.length)];
  switch (random(6)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete parent[key];
      return [JSON.stringify(json), `${path} removed`];
    case 1:
      if (other === undefined) break;
      parent[key] = structuredClone(other.parent[other.key]);
      return [JSON.stringify(json), `${path} = ${other.path}`];
    case 2:
      if (typeof parent[key] !== "number") break;
      parent[key] = (parent[key] as number) * ([-1, 0.5, 2, 10, 1e6, 1e-6][random(6)] ?? 1);
      return [JSON.stringify(json), `${path} = ${String(parent[key])}`];
    case 3:
      if (typeof parent[key] !== "number") break;
      parent[key] = (parent[key] as number) + (random(2) === 0 ? 1 : -1);
      return [JSON.stringify(json), `${path} = ${String(parent[key])}`];
    case 4: {
      // Numbers that JSON can write and that are no numbers.
      const written =
        ["1e999", "-1e999", "9".repeat(400), `${"[".repeat(1000)}${"]".repeat(1000)}`][random(4)] ?? "";
      parent[key] = "@@";
      return [JSON.stringify(json).replace('"@@"', written), `${path} = ${written.slice(0, 9)}...`];
    }
    default:
      break;
  }
  const value = VALUES[random(VALUES.length)];
  parent[key] = value;
  return [JSON.stringify(json), `${path} = ${JSON.stringify(value)}`];
}

/**
 * Loads the model of a run, lets it predict and generate, reads the record and goes on training. Returns the code of the first
 * DdscError, or "used". Throws for any other error and for an output that is not finite.
 */
export async function useRun(folder: string): Promise<string> {
  const codes: string[] = [];
  for (const use of [useModel, readRecordOf, resume]) {
    try {
      await use(folder);
    } catch (error) {
      if (!(error instanceof DdscError)) throw error;
      codes.push(error.code);
    }
  }
  return codes[0] ?? "used";
}

async function useModel(folder: string): Promise<void> {
  using model = await Denoiser.load(folder);
  const source = cells();
  const rows = Int32Array.from({ length: 4 }, (_, row) => row);
  if (model.config.counts === undefined) {
    const { ranks } = await generate(model, {
      genes: source.genes.slice(0, 6).map(({ id }) => id),
      cells: 2,
      sampler: { kind: "ancestral", steps: 2 },
      seed: 1,
    });
    requireFinite("generated ranks", ranks);
    const batches = async function* () {
      for await (const { batch } of streamCells(source, model.tokenizer, { cells: 8, selection: { rows } }))
        yield batch;
    };
    const { ratios } = await evaluate(model, batches(), { ratios: [0.5], seed: 1 });
    requireFinite(
      "scores",
      Object.values(ratios).flatMap((scores) => Object.values(scores).filter(isNumber)),
    );
    return;
  }
  for await (const { mean, shape } of denoiseCells(source, model, { selection: { rows } })) {
    requireFinite("denoised means", mean);
    requireFinite("denoised shapes", shape);
  }
  for await (const { state } of embedCells(source, model, { selection: { rows } }))
    requireFinite("states", state);
  const blocks = generateCells(model, {
    cells: 2,
    seed: 1,
    depth: 200,
    sampler: { kind: "parallel", steps: 4 },
  });
  for await (const { counts } of blocks) requireFinite("generated counts", counts);
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function requireFinite(what: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i])) throw new Error(`${what}: number ${i} is ${values[i]}`);
}

async function readRecordOf(folder: string): Promise<void> {
  await readRecord(join(folder, "last"));
}

async function resume(folder: string): Promise<void> {
  const trainer = await Trainer.resume(folder);
  using _model = trainer.model;
  for await (const { loss } of trainer.fit(cells(), { steps: STEPS + 1 })) requireFinite("loss", [loss]);
}
