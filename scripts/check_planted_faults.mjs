// Tests that cannot fail prove nothing: programs with one mistake planted in one CUDA kernel
// (test/native/cuda/planted_faults.cmake) must fail the tests that ddsc_emulated passes, for the right reason.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { exit } from "node:process";

/** For each fault, tests that must notice and what their message must say. */
const faults = [
  { name: "missing_barrier", filter: "adds the residual (cuda, bf16)", says: "of shared memory" },
  { name: "wrong_fragment", filter: "agree with float64 (cuda, bf16)", says: "relative error" },
  {
    name: "unguarded_tail",
    filter: "adds the residual (cuda, bf16)",
    says: ": row 1 of 1",
  },
];

/** Runs the faulty programs of a build; exits with 1 unless each fails as it must. */
export function checkPlantedFaults(buildDirectory) {
  let missed = 0;
  for (const { name, filter, says } of faults) {
    const program = join(buildDirectory, `ddsc_fault_${name}`);
    const result = spawnSync(program, ["--filter", filter], { encoding: "utf8" });
    const failures = (result.stdout ?? "").match(/^FAIL .*\n.*$/gm) ?? [];
    if (result.status === 1 && failures.some((failure) => failure.includes(says))) continue;
    missed += 1;
    console.error(
      `${program} --filter "${filter}" must fail with "${says}"; it ended with ${result.status}:`,
    );
    console.error(result.error?.message ?? `${result.stdout}${result.stderr}`);
  }
  if (missed > 0) exit(1);
  console.log(`${faults.length} planted faults made the CUDA tests fail`);
}
