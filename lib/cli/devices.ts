import { nativeDevices } from "../native.js";
import { defineCommand } from "./command.js";

/** `ddsc devices`: what this installation can compute on. */
export const devices = defineCommand({
  name: "devices",
  summary: "list what this installation can compute on",
  options: [],
  required: [],
  run: async (_options, { output }) => {
    const found = nativeDevices();
    for (const { name, description, instructionSets } of found) {
      output.line(`${name}: ${description}; instruction sets: ${instructionSets.join(", ")}`);
    }
    return { devices: found };
  },
});
