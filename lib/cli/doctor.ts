import { DdscError } from "../base/errors.js";
import { joinCluster } from "../cluster/join.js";
import { type ClusterTest, testCluster } from "../diagnosis/cluster_test.js";
import { type BinaryChoice, chosenBinary, describeMachine, type Machine } from "../diagnosis/machine.js";
import { type SelfTest, selfTest } from "../diagnosis/self_test.js";
import { nativeDevices } from "../native/devices.js";
import { devices } from "./devices.js";
import { type CommandContext, defineCommand, type JsonResult } from "./shared/command.js";
import { type Output, withThousands } from "./shared/output.js";

/** `ddsc doctor`: what a bug report should say, and whether this installation computes what it should. */
export const doctor = defineCommand({
  name: "doctor",
  summary: "describe this installation and test it for some ten seconds: the text to paste into a bug report",
  details: `Says what it runs on, which binary was chosen and why, and tests every device: a small model is trained a few steps and its
losses are compared with recorded ones (parity), then preset nano for two seconds (speed). Under mpirun, srun or torchrun it tests the
collectives, too. Names no file, gene or user.
Exit code 1 where something is wrong.`,
  options: [],
  required: [],
  run: async (options, context) => {
    const { output } = context;
    const machine = describeMachine();
    const problems: string[] = [];
    const { test: cluster, speaks } = await collectives(problems);
    if (!speaks) {
      output.silence();
      if (problems.length > 0) process.exitCode = 1;
      return { cluster, problems };
    }
    describe(machine, output);
    describeCluster(cluster, output);
    const found = { cluster, ...(await inspect(options, context, problems)) };
    output.line();
    for (const problem of problems) output.line(`problem  ${problem}`);
    output.line(problems.length === 0 ? "all is well" : "paste this into a bug report");
    if (problems.length > 0) process.exitCode = 1;
    return { machine, ...found, problems };
  },
});

/** Tests the collectives where a launcher started several processes, of which rank 0 speaks. */
async function collectives(
  problems: string[],
): Promise<{ readonly test: ClusterTest | undefined; readonly speaks: boolean }> {
  let speaks = true;
  try {
    const cluster = await joinCluster();
    speaks = cluster.rank === 0;
    try {
      const test = await testCluster(cluster);
      await cluster.leave();
      if (test?.agrees === false) problems.push("the collectives of the cluster give wrong results");
      return { test, speaks };
    } catch (error) {
      cluster.fail(error);
      throw error;
    }
  } catch (error) {
    problems.push(messageOf(error));
    return { test: undefined, speaks };
  }
}

function describeCluster(test: ClusterTest | undefined, output: Output): void {
  if (test === undefined) {
    output.line("cluster  one process; under mpirun or torchrun the collectives are tested, too");
    return;
  }
  const { description, notes, agrees, gatherMilliseconds } = test;
  output.line(`cluster  ${description}`);
  for (const note of notes) output.line(`cluster  ${note}`);
  output.line(
    `cluster  collectives ${agrees ? "agree" : "DISAGREE"}, ${gatherMilliseconds.toFixed(2)} ms for a small one`,
  );
}

function describe(machine: Machine, output: Output): void {
  const { memory, variables } = machine;
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  output.line(`${machine.package}, Node ${machine.node}`);
  output.line(
    [
      `system   ${machine.platform}`,
      `kernel ${machine.kernel}`,
      ...(machine.libc ? [machine.libc] : []),
    ].join(", "),
  );
  output.line(`machine  ${machine.processor}, ${machine.processors} processors for this process`);
  output.line(`memory   ${gib(memory.total)} GiB, ${gib(memory.available)} available`);
  output.line(`driver   ${machine.nvidiaDriver ?? "no NVIDIA driver is loaded"}`);
  const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  if (set.length > 0) output.line(`set      ${set.join(" ")}`);
}

/** All that needs the addon. What is wrong is added to `problems`. */
async function inspect(
  options: Parameters<typeof devices.run>[0],
  context: CommandContext,
  problems: string[],
): Promise<JsonResult> {
  const { output, signal } = context;
  let binary: BinaryChoice;
  try {
    binary = chosenBinary();
  } catch (error) {
    problems.push(messageOf(error));
    return {};
  }
  output.line(`binary   ${binary.path} (${binary.kind}: ${binary.reason})`);
  output.line();
  const listed = await devices.run(options, context);
  output.line();
  const tests: SelfTest[] = [];
  for (const device of nativeDevices().filter(isUsable)) {
    try {
      const test = await selfTest(device.name, signal);
      tests.push(test);
      report(test, output, problems);
    } catch (error) {
      signal.throwIfAborted();
      problems.push(`${device.name}: ${messageOf(error)}`);
    }
  }
  return { binary, ...listed, tests };
}

/** Whether a device can be used: those that cannot say why. */
function isUsable(device: object): boolean {
  return !("problem" in device) || device.problem === undefined;
}

function report({ device, parity, speed, seconds }: SelfTest, output: Output, problems: string[]): void {
  for (const { dtype, difference, tolerance, agrees } of parity) {
    const found = `${difference.toExponential(1)} from the recorded losses, ${tolerance} allowed`;
    output.line(`${device}: ${dtype} ${agrees ? "agrees" : "DISAGREES"} (${found})`);
    if (!agrees) problems.push(`${device} computes wrong results in ${dtype}: ${found}`);
  }
  const { fp32FlopsPerSecond, bf16FlopsPerSecond, bytesPerSecond } = speed.limits;
  output.line(
    `${device}: ${withThousands(speed.tokensPerSecond)} tokens/s training nano in fp32; limits ` +
      `${(fp32FlopsPerSecond / 1e9).toFixed(0)} GFLOP/s fp32, ${(bf16FlopsPerSecond / 1e9).toFixed(0)} bf16, ` +
      `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`,
  );
  output.line(`${device}: tested in ${seconds.toFixed(1)} s`);
}

function messageOf(error: unknown): string {
  return error instanceof DdscError || !(error instanceof Error)
    ? String((error as Error).message ?? error)
    : `INTERNAL: ${error.message}`;
}
