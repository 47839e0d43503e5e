import { describe, expect, it } from "vitest";
import {
  type CellSource,
  compareFiles,
  DdscError,
  Denoiser,
  type DenoiserOptions,
  embedFile,
  evaluateFile,
  GeneVocabulary,
  generateFile,
  imputeFile,
  openCells,
  reportFile,
  Trainer,
  type TrainerOptions,
  trainFile,
} from "../lib/index.js";

/** As a program without types passes it. */
const untyped = <T>(value: unknown) => value as T;

const vocabulary = GeneVocabulary.fromIds(["FTL", "VIM"]);

describe("arguments of the wrong kind are refused by name", () => {
  it.each([undefined, null, 7, ["cells.h5ad", undefined]])("openCells(%j)", async (path) => {
    const error = await openCells(untyped(path)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DdscError);
    expect(error).toMatchObject({ code: "ARGUMENT_TYPE", place: { argument: "path" } });
  });

  it("Denoiser.create without options, without a vocabulary, with something else for one", async () => {
    await expect(Denoiser.create(untyped(undefined))).rejects.toMatchObject({ code: "ARGUMENT_TYPE" });
    for (const options of [{}, { vocabulary: ["FTL"] }]) {
      await expect(Denoiser.create(untyped<DenoiserOptions>(options))).rejects.toMatchObject({
        code: "ARGUMENT_TYPE",
        place: { argument: "vocabulary" },
      });
    }
  });

  it("new Trainer of no model, and fit on a path", async () => {
    expect(() => new Trainer(untyped(undefined))).toThrow("ARGUMENT_TYPE: expected a Denoiser for model");
    using model = await Denoiser.create({ values: "ranks", vocabulary, device: "cpu" });
    const steps = new Trainer(model).fit(untyped<CellSource>("cells.h5ad"), { steps: 1 });
    await expect(steps.next()).rejects.toThrow(
      'ARGUMENT_TYPE: expected cells, such as await openCells(path), for source but received the text "cells.h5ad"',
    );
  });
});

describe("options that there are not are refused with the nearest there is", () => {
  it("of a trainer", async () => {
    using model = await Denoiser.create({ values: "ranks", vocabulary, device: "cpu" });
    const options = untyped<TrainerOptions>({ learningrate: 4 });
    expect(() => new Trainer(model, options)).toThrow(
      'ARGUMENT_NAME_UNKNOWN: options of a trainer have no "learningrate" (did you mean "learningRate"?); they are folder, overwrite,',
    );
  });

  it("of a denoiser", async () => {
    const options = untyped<DenoiserOptions>({ vocabulary, dropout: 0.1 });
    await expect(Denoiser.create(options)).rejects.toThrow(
      'ARGUMENT_NAME_UNKNOWN: options of a denoiser have no "dropout"; they are vocabulary,',
    );
  });

  it.each(
    Object.entries({
      trainFile,
      evaluateFile,
      generateFile,
      compareFiles,
      imputeFile,
      embedFile,
      reportFile,
    } as Record<string, (options: never) => Promise<unknown>>),
  )("of %s", async (name, task) => {
    await expect(task(untyped<never>({ model: "runs/a", seeed: 1, overwrit: true }))).rejects.toThrow(
      `ARGUMENT_NAME_UNKNOWN: options of ${name} have no "`,
    );
  });
});
