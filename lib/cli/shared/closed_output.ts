import { errorCode } from "../../base/files.js";
import { printable } from "../../base/printable.js";

/** What a write to a pipe fails with whose reader has gone, and to a terminal that was closed. */
const NOBODY_READS = ["EPIPE", "EIO", "ERR_STREAM_DESTROYED"];

/**
 * Lets the program work on where nobody reads its output any more (`ddsc train ... 2>&1 | head`): what it writes there is
 * dropped, and its exit code tells of the work as ever. Results that cannot be written for another reason, such as a full
 * disk, make the exit code 1 at the end.
 */
export function outliveReaders({
  stdout,
  stderr,
}: {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}): void {
  // Without a listener an error of a stream ends the program. Of stderr there is nowhere left to tell.
  stderr.on("error", () => undefined);
  let lost = false;
  stdout.on("error", (error) => {
    if (lost || NOBODY_READS.includes(errorCode(error) ?? "")) return;
    lost = true;
    stderr.write(
      `ddsc: FILE_WRITE: stdout: cannot be written: ${printable(error.message)}; results are missing there\n`,
    );
    process.once("exit", (code) => {
      if (code === 0) process.exitCode = 1;
    });
  });
}
