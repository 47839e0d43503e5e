import { checkKind } from "../base/arguments.js";
import { baseOf } from "../counts/ask_model.js";
import { symmetricEigen } from "../counts/principal_components.js";
import type { Denoiser } from "../model/denoiser.js";
import { requireCounts } from "./counted_cells.js";

/** Coordinates of states and factors. */
export interface StateCoordinates {
  /** States as the network gives them, in these coordinates, [cells, width]. */
  states(raw: Float32Array): Float32Array;
  /** Factor of every gene id in these coordinates, [gene vocabulary, width]. */
  readonly factors: Float32Array;
}

/** A direction of less, relative to the greatest, moves no gene. */
const TOLERANCE = 1e-12;

/**
 * Coordinates in which states are compared. A model knows its states up to a linear map alone: with any invertible A the states A z and
 * the factors A^-T f give the same tilts f . z. With M = sum over genes of share f f^T = V diag(e) V^T, e descending, these are
 *
 *   z' = diag(sqrt(e)) V^T z,   f' = diag(1 / sqrt(e)) V^T f,
 *
 * so that the squared distance of two states is the mean, over molecules, of the squared difference of the tilts (by how much the log of
 * a gene's expected count differs), and the first coordinate is the one along which genes move most. Of each column of V the largest
 * number is positive. A model without factors keeps its coordinates.
 *
 * Throws `ARGUMENT_TYPE`, `MODEL_CONFIG` for a model of ranks, `MODEL_BASE`; rejects with the signal's reason when aborted.
 */
export async function stateCoordinates(model: Denoiser, signal?: AbortSignal): Promise<StateCoordinates> {
  requireCounts(model);
  if (signal !== undefined) checkKind("signal", signal, "signal");
  const { share } = baseOf(model);
  const width = model.config.counts?.state ?? 0;
  const raw = await model.readParameter("factor.weight", model.inferenceWeights);
  const square = new Float64Array(width * width);
  for (const [gene, weight] of share.entries()) {
    if (weight === 0) continue;
    for (let i = 0; i < width; i++) {
      const along = weight * (raw[gene * width + i] ?? 0);
      for (let j = 0; j < width; j++)
        square[i * width + j] = (square[i * width + j] ?? 0) + along * (raw[gene * width + j] ?? 0);
    }
  }
  const { values, vectors } = await symmetricEigen(square, width, signal);
  const greatest = values[0] ?? 0;
  if (!(greatest > 0)) return { states: (states) => states.slice(), factors: raw };
  const stretch = new Float64Array(width * width);
  const shrink = new Float64Array(width * width);
  for (const [i, value] of values.entries()) {
    if (!(value > TOLERANCE * greatest)) continue;
    const vector = vectors[i] ?? new Float64Array(width);
    const largest = vector.reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most), 0);
    const sign = Math.sign(largest);
    for (const [j, one] of vector.entries()) {
      stretch[i * width + j] = sign * Math.sqrt(value) * one;
      shrink[i * width + j] = (sign * one) / Math.sqrt(value);
    }
  }
  return { states: (states) => mapped(states, stretch, width), factors: mapped(raw, shrink, width) };
}

/** The map of each row. */
function mapped(rows: Float32Array, map: Float64Array, width: number): Float32Array {
  const result = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += (map[i * width + j] ?? 0) * (rows[start + j] ?? 0);
      result[start + i] = sum;
    }
  }
  return result;
}
