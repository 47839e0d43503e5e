// Checks the binaries in prebuilds/ for what would keep them from loading on a machine with nothing but Node:
// node scripts/check_prebuilds.mjs [folder of the package]
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { readElf } from "./elf.mjs";

/** glibc of Ubuntu 22.04 is 2.35, of RHEL 9 2.34. */
const NEWEST_GLIBC = [2, 34];
/** Bytes a binary may add to the tarball. */
const LARGEST = 15e6;
/** Parts of glibc; those that are part of libc itself since 2.34 are still asked for by name. */
const LIBRARIES = /^(libc|libm|libdl|librt|libpthread)\.so\.\d+$|^ld-linux-[\w-]+\.so\.\d+$/;
const REGISTRATION = /^(napi_register_module_v\d+|node_api_module_get_api_version_v\d+)$/;

/** Problems of one binary, for the architecture its folder names. */
export function prebuildProblems(file, arch) {
  let elf;
  try {
    elf = readElf(file);
  } catch (error) {
    return [error.message];
  }
  const problems = [];
  if (elf.machine !== arch) problems.push(`is for ${elf.machine}, not ${arch}`);
  for (const version of new Set(elf.versions)) {
    const glibc = /^GLIBC_(\d+)\.(\d+)/.exec(version);
    const [major, minor] = glibc === null ? [] : [Number(glibc[1]), Number(glibc[2])];
    if (glibc === null) problems.push(`needs ${version}: link that library statically`);
    else if (major > NEWEST_GLIBC[0] || (major === NEWEST_GLIBC[0] && minor > NEWEST_GLIBC[1])) {
      problems.push(`needs ${version}, newer than glibc ${NEWEST_GLIBC.join(".")}`);
    }
  }
  for (const name of elf.libraries.filter((library) => !LIBRARIES.test(library))) {
    problems.push(`needs the library ${name}`);
  }
  for (const path of elf.searchPaths) problems.push(`looks for libraries in ${path}`);
  if (!elf.isStripped) problems.push("is not stripped");
  for (const name of elf.exports.filter((symbol) => !REGISTRATION.test(symbol))) {
    problems.push(`shows the symbol ${name}`);
  }
  if (!elf.exports.some((symbol) => REGISTRATION.test(symbol))) problems.push("registers no Node-API module");
  const packed = gzipSync(file).length;
  if (packed > LARGEST)
    problems.push(`takes ${(packed / 1e6).toFixed(1)} MB packed, more than ${LARGEST / 1e6}`);
  return problems;
}

/** Checks all binaries of a package, naming what is wrong; whether there are some and all are good. */
export function checkPrebuilds(root) {
  const folder = join(root, "prebuilds");
  const targets = readdirSync(folder).filter((name) => !name.startsWith("."));
  let bad = targets.length === 0;
  if (bad) console.error(`${folder} holds no binary: npm run prebuild`);
  for (const target of targets) {
    const files = readdirSync(join(folder, target));
    if (files.length !== 1) {
      console.error(`prebuilds/${target} holds ${files.length} files instead of one`);
      bad = true;
    }
    // Those of other systems are checked where they are built.
    if (!target.startsWith("linux-")) continue;
    for (const name of files) {
      const file = readFileSync(join(folder, target, name));
      const problems = prebuildProblems(file, target.slice("linux-".length));
      for (const problem of problems) console.error(`prebuilds/${target}/${name} ${problem}`);
      bad ||= problems.length > 0;
      const sizes = `${(file.length / 1e6).toFixed(1)} MB, ${(gzipSync(file).length / 1e6).toFixed(1)} packed`;
      const newest = readElf(file).versions.sort(byVersion).at(-1);
      if (problems.length === 0) console.log(`prebuilds/${target}/${name}: ${sizes}, needs ${newest}`);
    }
  }
  return !bad;
}

function byVersion(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  exit(checkPrebuilds(argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url)))) ? 0 : 1);
}
