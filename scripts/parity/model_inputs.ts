import { checkConfig } from "../../lib/model/config.js";
import type { DenoiserConfig, NativeBatch, NativeNoise } from "../../lib/native/types.js";
import { type Fixture, notAFixture } from "./fixture.js";

/** What a model fixture gives the network, its padding taken out. */
export interface ModelInputs {
  readonly config: DenoiserConfig;
  /** `tokens` is x0. */
  readonly batch: NativeBatch;
  /** xt, [tokens]. */
  readonly noisy: Int32Array;
  /** 1 where a token counts in the loss, [tokens]. */
  readonly valid: Float32Array;
  readonly noise: NativeNoise;
  /** t of each cell. */
  readonly time: Float32Array;
  /** Place of each token in the padded tensors, cell * length + position, [tokens]. */
  readonly places: Int32Array;
}

/** The rows of a padded [cells, length, width] tensor that hold tokens, end to end: [tokens, width]. */
export function unpadded(values: Float32Array, places: Int32Array, width = 1): Float32Array {
  const out = new Float32Array(places.length * width);
  places.forEach((place, token) => {
    out.set(values.subarray(place * width, (place + 1) * width), token * width);
  });
  return out;
}

/** Reads `in.*` and the configuration. */
export async function readModelInputs(fixture: Fixture): Promise<ModelInputs> {
  const config = readConfig(fixture);
  const [cells, length] = fixture.shape("in.genes", 2) as readonly [number, number];
  const size = cells * length;
  const lengths = await fixture.integers("in.lengths", cells);
  if (lengths.some((tokens) => tokens < 1 || tokens > length)) {
    throw notAFixture(fixture.file, `in.lengths is not within 1..${length}`);
  }
  const offsets = new Int32Array(cells + 1);
  const places: number[] = [];
  for (const [cell, tokens] of lengths.entries()) {
    offsets[cell + 1] = (offsets[cell] as number) + tokens;
    for (let position = 0; position < tokens; position++) places.push(cell * length + position);
  }
  const ragged = async (name: string) => {
    const values = await fixture.integers(name, size);
    return Int32Array.from(places, (place) => values[place] as number);
  };
  const places32 = Int32Array.from(places);
  const [sigma, rate, time] = [
    await fixture.floats("in.sigma", cells),
    await fixture.floats("in.dsigma", cells),
    await fixture.floats("in.t", cells),
  ];
  const weight = sigma.map((level, cell) => (rate[cell] as number) / Math.expm1(level));
  const meanMatching = Number(fixture.metadata.mean_matching ?? 0);
  const ranks = config.vocabSize - 3;
  return {
    config,
    batch: {
      offsets,
      genes: await ragged("in.genes"),
      tokens: await ragged("in.x0"),
      cells: Float64Array.from({ length: cells }, (_, cell) => cell),
    },
    noisy: await ragged("in.xt"),
    valid: unpadded(await fixture.floats("in.valid", size), places32),
    noise: {
      conditioning: sigma,
      weight,
      sigma,
      time,
      ...(meanMatching > 0
        ? { meanWeight: weight.map((value) => (meanMatching * value) / (ranks - 1)) }
        : {}),
    },
    time,
    places: places32,
  };
}

function readConfig(fixture: Fixture): DenoiserConfig {
  let json: unknown;
  try {
    json = JSON.parse(fixture.metadata.config ?? "null");
  } catch {
    json = null;
  }
  if (typeof json !== "object" || json === null) {
    throw notAFixture(fixture.file, "its metadata holds no configuration");
  }
  const camel = Object.entries(json).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value as unknown,
  ]);
  return checkConfig(Object.fromEntries(camel) as DenoiserConfig);
}
