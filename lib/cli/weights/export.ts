import { exportModel } from "../../exchange/export_model.js";
import { defineCommand } from "../shared/command.js";
import { withThousands } from "../shared/output.js";

/** `ddsc export`: a model becomes a folder to publish. */
export const exportCommand = defineCommand({
  name: "export",
  summary: "write a model as a folder to publish: weights, configuration, vocabulary and a model card",
  details: `The folder holds config.json, model.safetensors, vocabulary.json, what a model of counts has learnt, and README.md, a model card with the
scores of --evaluation. It is itself a --model. No optimizer state, record of the training or path is in it.

Examples: ddsc evaluate --model runs/a --json --quiet > scores.json
          ddsc export runs/a --evaluation scores.json --out published/a`,
  files: [{ name: "model", help: "the folder of a model or run" }],
  options: ["out", "format", "trained", "evaluation", "overwrite"],
  required: ["out"],
  texts: {
    out: { help: "the folder to write" },
    overwrite: { help: "replace the export or model at --out" },
  },
  run: async ({ files, out, format, trained, evaluation, overwrite }, { output, signal }) => {
    const [model = ""] = files;
    const result = await exportModel({
      model,
      out,
      format,
      overwrite,
      signal,
      ...(trained ? { weights: "weights" } : {}),
      ...(evaluation === undefined ? {} : { evaluation }),
    });
    const which = result.weights === "ema" ? "the moving average of the weights" : "the weights as trained";
    output.line(`${out}: ${which}, ${withThousands(result.parameters)} parameters`);
    output.line(`files: ${result.files.join(", ")}`);
    if (result.evaluation === undefined)
      output.note(
        "the card has no scores: give --evaluation a file of what ddsc evaluate --json printed; choose a licence in it, too",
      );
    else output.note(`the card has the scores of ${result.evaluation}; choose a licence in it`);
    return { model, ...result };
  },
});
