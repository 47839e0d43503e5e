// Starts so many processes of a program, as a launcher without MPI does: node start_ranks.mjs -n N PROGRAM WORD... [: -n N PROGRAM WORD...]
// Ends when all have, with the code of the first that failed; a process that was killed counts as 137.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { argv, env, exit } from "node:process";

/** Program and words of each rank, as mpirun reads them. */
function readRanks(words) {
  const end = words.indexOf(":");
  const [, count = "1", ...command] = end < 0 ? words : words.slice(0, end);
  const ranks = Array.from({ length: Number(count) }, () => command);
  return end < 0 ? ranks : [...ranks, ...readRanks(words.slice(end + 1))];
}

const ranks = readRanks(argv.slice(2));

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
const ends = ranks.map(async ([program = "", ...words], rank) => {
  const own = {
    RANK: String(rank),
    WORLD_SIZE: String(ranks.length),
    MASTER_ADDR: "127.0.0.1",
    MASTER_PORT: port,
  };
  const child = spawn(program, words, { env: { ...env, ...own }, stdio: "inherit" });
  const [code] = await once(child, "exit");
  return code ?? 137;
});
const codes = await Promise.all(ends);
exit(codes.find((code) => code !== 0) ?? 0);
