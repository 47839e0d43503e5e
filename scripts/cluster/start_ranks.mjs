// Starts so many processes of a program, as a launcher without MPI does: node start_ranks.mjs -n N PROGRAM WORD...
// Ends when all have, with the code of the first that failed; a process that was killed counts as 137.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { argv, env, exit } from "node:process";

const [, ranks = "1", program = "", ...words] = argv.slice(2);

/** A port that nobody listens on just now. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const port = String(await freePort());
const ends = Array.from({ length: Number(ranks) }, async (_, rank) => {
  const own = { RANK: String(rank), WORLD_SIZE: ranks, MASTER_ADDR: "127.0.0.1", MASTER_PORT: port };
  const child = spawn(program, words, { env: { ...env, ...own }, stdio: "inherit" });
  const [code] = await once(child, "exit");
  return code ?? 137;
});
const codes = await Promise.all(ends);
exit(codes.find((code) => code !== 0) ?? 0);
