import { describeGpu } from "../model/device.js";
import { nativeCuda, nativeDevices } from "../native/devices.js";
import type { CudaState, NativeDevice } from "../native/types.js";
import { defineCommand } from "./shared/command.js";

/** `ddsc devices`: what this installation can compute on. */
export const devices = defineCommand({
  name: "devices",
  summary: "list what this installation can compute on, and where there is no GPU say why",
  options: [],
  required: [],
  run: async (_options, { output }) => {
    const found = nativeDevices();
    const cuda = nativeCuda();
    for (const device of found) output.line(describe(device));
    output.line(describeCuda(cuda));
    return { devices: found, cuda };
  },
});

function describe(device: NativeDevice): string {
  if (device.kind === "cpu") {
    return `${device.name}: ${device.description}; instruction sets: ${device.instructionSets.join(", ")}`;
  }
  const use = device.problem === undefined ? "" : `; cannot be used: ${device.problem}`;
  return `${device.name}: ${describeGpu(device)}, ${device.multiprocessors} multiprocessors${use}`;
}

function describeCuda({ runtimeVersion, driverVersion, problem }: CudaState): string {
  const versions = [
    ...(runtimeVersion === undefined ? [] : [`built with CUDA ${runtimeVersion}`]),
    ...(driverVersion === undefined ? [] : [`the driver serves CUDA ${driverVersion}`]),
  ];
  const known = versions.length > 0 ? ` (${versions.join(", ")})` : "";
  return problem === undefined ? `cuda${known}` : `cuda: no GPU: ${problem}${known}`;
}
