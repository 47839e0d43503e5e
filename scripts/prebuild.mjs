// Builds the binaries that the package ships: node scripts/prebuild.mjs [linux-x64 linux-arm64]; by default this machine's
// own and, where the cross compiler is there, linux-arm64's. prebuildify names, strips and places them, working in
// build/prebuild-*, so that build/Release stays as it is; see prebuild_compile.mjs.
import { mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit, arch as ownArch, platform as ownPlatform } from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import prebuildify from "prebuildify";
import { runs } from "./build_tools.mjs";
import { checkPrebuilds } from "./check_prebuilds.mjs";
import { ARM64_COMPILER, ARM64_STRIP } from "./toolchains/names.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const own = `${ownPlatform}-${ownArch}`;

function defaultTargets() {
  if (own === "linux-x64" && runs(ARM64_COMPILER)) return [own, "linux-arm64"];
  return [own];
}

async function prebuild(target) {
  const [platform, arch] = target.split("-");
  const folder = join(root, "build", `prebuild-${target}`);
  // What an earlier version of the package left there would be shipped.
  rmSync(join(root, "prebuilds", target), { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await promisify(prebuildify)({
    platform,
    arch,
    napi: true,
    tagLibc: platform === "linux",
    strip: true,
    ...(target === own ? {} : { stripBin: ARM64_STRIP, libc: "glibc" }),
    nodeGyp: join(root, "scripts/prebuild_compile.mjs"),
    name: "ddsc",
    cwd: folder,
    out: root,
  });
}

const targets = argv.length > 2 ? argv.slice(2) : defaultTargets();
for (const target of targets) {
  if (target !== own && !(own === "linux-x64" && target === "linux-arm64")) {
    console.error(`prebuild: ${own} cannot build for ${target}; use such a machine`);
    exit(2);
  }
}
for (const target of targets) await prebuild(target);
exit(checkPrebuilds(root) ? 0 : 1);
