import { once } from "node:events";
import { watchRuns } from "../watch/index.js";
import { defineCommand } from "./shared/command.js";
import { UsageError } from "./shared/usage_error.js";

/** What holds a token that stays the same from one start to the next. */
const TOKEN_VARIABLE = "DDSC_WATCH_TOKEN";

/** `ddsc watch`: a local page about runs. */
export const watch = defineCommand({
  name: "watch",
  summary: "serve a page on this machine that shows runs live",
  files: [
    {
      name: "runs",
      help: "folders of runs, or folders that hold some, three levels down at most; new ones appear",
      isRepeated: true,
    },
  ],
  details: `Reads the files of the runs and nothing else, whichever process trains them, and only while a page is open. Ctrl-C ends it.
The page is for this machine alone. From another one, tunnel to it (ssh -L 6116:127.0.0.1:6116 MACHINE), or pass --host: the page is then
served to those who know the token, which is printed, and without encryption. ${TOKEN_VARIABLE} sets a token that stays the same.

Example: ddsc watch runs`,
  options: ["port", "host", "token"],
  required: [],
  run: async ({ files, port, host, token }, { output, signal }) => {
    const given = process.env[TOKEN_VARIABLE];
    if (given !== undefined && !/^[A-Za-z0-9_-]{16,256}$/.test(given))
      throw new UsageError(`${TOKEN_VARIABLE} has to be 16 to 256 letters, digits, "-" and "_"`);
    const asked = given ?? (token ? "new" : undefined);
    await using page = await watchRuns(files, {
      ...(port === undefined ? {} : { port }),
      ...(host === undefined ? {} : { host }),
      ...(asked === undefined ? {} : { token: asked }),
    });
    output.line(`watch at ${page.address}`);
    if (!signal.aborted) await once(signal, "abort");
    return { address: page.address };
  },
});
