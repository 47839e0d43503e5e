import { createHash } from "node:crypto";
import type { Denoiser } from "./denoiser.js";

/** SHA-256 (hex) of a model's weights, the moving average left out. */
export async function weightsDigest(model: Denoiser): Promise<string> {
  const hash = createHash("sha256");
  for (const { name } of model.parameters) {
    const values = await model.readParameter(name);
    hash.update(name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex");
}

/** Names all that a model's values depend on: its weights, and the type in which it computes. */
export async function modelDigest(model: Denoiser): Promise<string> {
  return `${await weightsDigest(model)} ${model.dtype}`;
}
