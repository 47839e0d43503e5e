import { importCheckpoint } from "../../exchange/import_checkpoint.js";
import { someNames } from "../../exchange/match_weights.js";
import { defineCommand } from "../shared/command.js";
import { withThousands } from "../shared/output.js";

/** `ddsc import`: a PyTorch checkpoint of the published model becomes a model's folder. */
export const importCommand = defineCommand({
  name: "import",
  summary: "make a model of a PyTorch checkpoint of the published model (.ckpt, .pt, .pth, .bin)",
  details: `Reads what torch.save of PyTorch 1.6 or newer and Lightning write: weights of float32, bfloat16, float16 and float64, their moving
average, the hyperparameters. Nothing of the file is run: its pickle is read over a list of names, and anything else is refused by
name. What the hyperparameters do not say is assumed, with a note; --heads, --objective and the like say it.

Example: ddsc import best.ckpt --vocabulary vocab.json --out models/published`,
  files: [{ name: "checkpoint", help: "the checkpoint, or a state dict alone" }],
  options: [
    "vocabulary",
    "out",
    "heads",
    "timeConditioning",
    "maxLength",
    "objective",
    "diffusionSteps",
    "noiseSchedule",
    "overwrite",
  ],
  required: ["vocabulary", "out"],
  texts: {
    vocabulary: {
      help: "the genes of the model: JSON of {token: id} as published, a saved vocabulary, or the folder of a model",
      defaultText: "none: a checkpoint names no genes",
    },
    out: { help: "the folder that gets the model" },
    timeConditioning: { help: "the network sees the noise level" },
    maxLength: {
      help: "tokens a cell at most, cls included",
      defaultText: "that of the checkpoint, or 1024",
    },
    objective: { help: "parameterisation", defaultText: "that of the checkpoint, or subs" },
    diffusionSteps: { help: "time steps T of --objective d3pm" },
    noiseSchedule: { help: "noise schedule", defaultText: "that of the checkpoint, or loglinear" },
    overwrite: { help: "replace the model at --out" },
  },
  run: async (options, { output, signal, given }) => {
    const [checkpoint = ""] = options.files;
    const { vocabulary, out, heads, overwrite, maxLength, objective, diffusionSteps, noiseSchedule } =
      options;
    const kind = given("objective") ? objective : undefined;
    const result = await importCheckpoint({
      checkpoint,
      vocabulary,
      out,
      overwrite,
      signal,
      shape: {
        ...(heads === undefined ? {} : { heads }),
        ...(given("timeConditioning") ? { timeConditioning: options.timeConditioning } : {}),
      },
      diffusion: {
        ...(kind === undefined
          ? {}
          : { objective: kind === "d3pm" ? { kind, steps: diffusionSteps } : { kind } }),
        ...(given("noiseSchedule") ? { schedule: { kind: noiseSchedule } } : {}),
      },
      ...(given("maxLength") ? { maxLength } : {}),
    });
    const { config, genes, parameters, average, prefix, ignored, assumed } = result;
    if (ignored.length > 0) output.note(`not taken, as no parameters of the model: ${someNames(ignored)}`);
    if (assumed.length > 0)
      output.note(
        `${checkpoint} does not say, so this was assumed: ${assumed.join(", ")}; options say otherwise (ddsc help import)`,
      );
    output.line(
      `${out}: ${withThousands(parameters)} parameters${prefix === "" ? "" : ` (${prefix}*)`}, ` +
        `${config.blocks} blocks, ${config.hidden} wide, ${config.heads} heads, ${withThousands(genes)} genes`,
    );
    output.line(
      average
        ? "with the moving average of its weights, which predictions use"
        : "without a moving average: predictions use the weights as they are",
    );
    return { checkpoint, ...result };
  },
});
