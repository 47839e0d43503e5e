import { describe, expect, it } from "vitest";
import {
  checkDiffusion,
  type DiffusionConfig,
  defaultDiffusion,
  diffusionFrom,
} from "../../lib/diffusion/index.js";

describe("a diffusion configuration", () => {
  it("survives JSON", () => {
    const configs: Partial<DiffusionConfig>[] = [
      {},
      { objective: { kind: "d3pm", steps: 1000 }, antithetic: false },
      {
        objective: { kind: "sedd" },
        schedule: { kind: "geometric", min: 1e-4, max: 20 },
        importanceSampling: true,
      },
      {
        schedule: { kind: "cosine", eps: 1e-2 },
        changeOfVariables: true,
        meanMatching: 0.5,
        minimumTime: 1e-2,
      },
    ];
    for (const config of configs) {
      const full = { ...defaultDiffusion, ...config };
      expect(diffusionFrom(JSON.parse(JSON.stringify(full)))).toEqual(full);
    }
  });

  it("has the defaults where nothing is said", () => {
    expect(diffusionFrom({})).toEqual(defaultDiffusion);
    expect(diffusionFrom({ meanMatching: 1 })).toEqual({ ...defaultDiffusion, meanMatching: 1 });
  });

  it.each<[string, Partial<DiffusionConfig>, string]>([
    [
      "importance sampling of discrete time",
      { objective: { kind: "d3pm", steps: 10 }, importanceSampling: true },
      "DIFFUSION_CONFIG",
    ],
    [
      "d3pm with a schedule it is not defined for",
      { objective: { kind: "d3pm", steps: 10 }, schedule: { kind: "cosine" } },
      "DIFFUSION_CONFIG",
    ],
    ["d3pm without steps", { objective: { kind: "d3pm" } as never }, "ARGUMENT_RANGE"],
    [
      "change of variables with sedd",
      { objective: { kind: "sedd" }, changeOfVariables: true },
      "DIFFUSION_CONFIG",
    ],
    [
      "change of variables on top of importance sampling",
      { importanceSampling: true, changeOfVariables: true },
      "DIFFUSION_CONFIG",
    ],
    ["an unknown objective", { objective: { kind: "vae" } as never }, "ARGUMENT_CHOICE"],
    ["an unknown schedule", { schedule: { kind: "square" } as never }, "ARGUMENT_CHOICE"],
    ["a switch that is a number", { antithetic: 1 as never }, "DIFFUSION_CONFIG"],
    ["negative mean matching", { meanMatching: -1 }, "ARGUMENT_RANGE"],
    ["a smallest time of zero", { minimumTime: 0 }, "ARGUMENT_RANGE"],
  ])("is refused for %s", (_, change, code) => {
    expect(() => checkDiffusion({ ...defaultDiffusion, ...change })).toThrow(code);
    expect(() => diffusionFrom(change)).toThrow(code);
  });

  it("is refused for what is no configuration", () => {
    expect(() => diffusionFrom(null)).toThrow("DIFFUSION_CONFIG");
    expect(() => diffusionFrom([])).toThrow("DIFFUSION_CONFIG");
    expect(() => diffusionFrom({ objective: "subs" })).toThrow(
      "DIFFUSION_CONFIG: expected an object with a kind for objective",
    );
    expect(() => diffusionFrom({ temperature: 1 })).toThrow("has no field temperature");
  });
});
