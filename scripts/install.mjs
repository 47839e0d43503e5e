// What `npm install` runs: nothing where the prebuilt binary of this platform loads, otherwise a build from source.
// node-gyp-build's own command would do the same through node-gyp, which needs Python and downloads Node's headers;
// this needs neither; CMake comes from npm where there is none. `--build-from-source` skips the prebuilt binary. A failure is told in three lines; what the
// tools said is in a file that they name.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { env, execPath, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { buildAddon } from "./build_addon.mjs";
import { systemName, TOOLS_FOLDER, threeLines } from "./build_tools.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether a prebuilt binary is there and loads, tried in a process of its own: a bad one may crash. */
function prebuiltLoads() {
  const load = spawnSync(execPath, ["-e", "require('node-gyp-build')(process.argv[1])", root], {
    cwd: root,
    env: { ...env, PREBUILDS_ONLY: "1" },
    stdio: "ignore",
  });
  return load.status === 0;
}

/** Builds; undefined if it worked, otherwise what to tell. */
function build(problem) {
  const { ok, text, missing } = buildAddon({ quiet: true, problem });
  // A checkout builds again, a package does not.
  if (!existsSync(join(root, "lib"))) rmSync(TOOLS_FOLDER, { recursive: true, force: true });
  if (ok || missing !== undefined) return missing;
  const log = join(tmpdir(), `ddsc-build-${process.pid}.log`);
  writeFileSync(log, text);
  const [error = "the build ended without an error"] =
    text.match(/^.*(?:\berror:|CMake Error|\bERROR\b).*$/im) ?? [];
  return threeLines(problem, `the build failed: ${error.trim()} (all of it: ${log})`);
}

const fromSource = env.npm_config_build_from_source;
const wanted = fromSource !== undefined && fromSource !== "false";
if (!wanted && prebuiltLoads()) exit(0);
const said = build(
  wanted
    ? "the build from source that was asked for cannot be made"
    : `no prebuilt binary loads on ${systemName()}, and it cannot be built`,
);
if (said !== undefined) console.error(said);
exit(said === undefined ? 0 : 1);
