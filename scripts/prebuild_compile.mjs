#!/usr/bin/env node
// What prebuildify runs in node-gyp's place: builds with cmake-js, for the architecture that prebuildify names, into
// build/Release of the folder it works in.
import { dirname, join } from "node:path";
import { cwd, env, exit, arch as ownArch } from "node:process";
import { fileURLToPath } from "node:url";
import { buildAddon } from "./build_addon.mjs";

const arch = env.PREBUILD_ARCH;
const here = dirname(fileURLToPath(import.meta.url));
const toolchain = join(here, "toolchains", `linux-${arch}.cmake`);
const into = join(cwd(), "build");
// This machine's own kernels are those that `npm run build:native` compiles, for every GPU where nvcc is found.
const own = { definitions: { DDSC_CUDA_ARCHITECTURES: "release" } };
const other = {
  arch,
  out: join(cwd(), "cmake"),
  definitions: { CMAKE_TOOLCHAIN_FILE: toolchain, DDSC_CUDA: "OFF" },
};
const built = buildAddon({ into, ...(arch === ownArch ? own : other) });
if (built.missing !== undefined) console.error(built.missing);
exit(built.ok ? 0 : 1);
