// What `npm install` runs: use the prebuilt binary of this platform where there is one that loads, otherwise
// build from source. node-gyp-build's own command would do the same through node-gyp, which needs Python and
// downloads Node's headers; this needs neither. `--build-from-source` skips the prebuilt binary.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { env, execPath, exit } from "node:process";
import { fileURLToPath } from "node:url";
import { buildAddon } from "./build_addon.mjs";

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

const fromSource = env.npm_config_build_from_source;
if ((fromSource === undefined || fromSource === "false") && prebuiltLoads()) exit(0);
exit(buildAddon());
