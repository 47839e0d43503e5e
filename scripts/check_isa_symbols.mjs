// Kernels are compiled once per instruction set. An inline function or template that the compiler leaves out of
// line becomes a weak symbol, of which the linker keeps one for the whole binary: if that is the AVX-512 copy, a
// machine without AVX-512 crashes in code that looks generic. So an object built with more than the baseline may
// define weak functions only under names that mention its own namespace, ddsc::cpu::<instruction set>.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { exit } from "node:process";

/** Weak functions an object file defines, demangled. */
function weakFunctions(object) {
  const nm = spawnSync("nm", ["--demangle", "--defined-only", object], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (nm.status !== 0) {
    console.error(`nm ${object}: ${nm.error?.message ?? nm.stderr.trim()}`);
    exit(1);
  }
  return [...nm.stdout.matchAll(/^[0-9a-f]+ W (.+)$/gm)].map((match) => match[1]);
}

/** Checks the objects listed in `buildDirectory`/ddsc_kernels_*.objects; exits with 1, naming each bad symbol. */
export function checkIsaSymbols(buildDirectory) {
  let objects = 0;
  let bad = 0;
  for (const list of readdirSync(buildDirectory).filter((name) => /^ddsc_kernels_\w+\.objects$/.test(name))) {
    const instructionSet = list.slice("ddsc_kernels_".length, -".objects".length);
    if (instructionSet === "generic") continue;
    for (const object of readFileSync(join(buildDirectory, list), "utf8").split("\n").filter(Boolean)) {
      objects += 1;
      for (const symbol of weakFunctions(object)) {
        if (symbol.includes(`ddsc::cpu::${instructionSet}::`)) continue;
        bad += 1;
        console.error(`${instructionSet}/${basename(object)} defines ${symbol}`);
      }
    }
  }
  if (bad > 0) {
    console.error(
      `${bad} shared function(s) compiled for one instruction set: force them inline (DDSC_INLINE) or move them ` +
        "into the kernels' namespace",
    );
    exit(1);
  }
  console.log(`instruction sets: ${objects} objects of kernels share no function`);
}
