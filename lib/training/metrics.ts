import { type FileHandle, open } from "node:fs/promises";
import { errorCode, fileWriteError } from "../base/files.js";
import { openToRead } from "../base/regular_files.js";

/** Name of the file of a run's metrics. */
export const METRICS_FILE = "metrics.jsonl";

/** A file of one JSON object a line, each with its `step`; `await using` or `close()` it. */
export class MetricsLog implements AsyncDisposable {
  readonly #file: string;
  readonly #handle: FileHandle;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /**
   * Opens a file to append to, creating it if need be. Lines of steps after `step`, which a resumed run writes again,
   * and a line that was cut short are removed. Throws `FILE_WRITE`.
   */
  static async open(file: string, step: number): Promise<MetricsLog> {
    try {
      const end = await endOfStep(file, step);
      const handle = await open(file, "a");
      try {
        await handle.truncate(end);
      } catch (error) {
        await handle.close();
        throw error;
      }
      return new MetricsLog(file, handle);
    } catch (error) {
      throw fileWriteError(file, error);
    }
  }

  /** Adds a line. NaN and infinities become null. Throws `FILE_WRITE`. */
  async append<Line extends { readonly step: number }>(line: Line): Promise<void> {
    try {
      await this.#handle.appendFile(`${JSON.stringify(line)}\n`);
    } catch (error) {
      throw fileWriteError(this.#file, error);
    }
  }

  /** Flushes what was added to disk. Throws `FILE_WRITE`. */
  async flush(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw fileWriteError(this.#file, error);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Length in bytes of the whole lines up to and including those of `step`; 0 where there is no file. */
async function endOfStep(file: string, step: number): Promise<number> {
  let handle: FileHandle;
  try {
    handle = await openToRead(file);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
  await using _ = handle;
  const { size } = await handle.stat();
  let end = 0;
  for await (const line of handle.readLines({ autoClose: false })) {
    const next = end + Buffer.byteLength(line) + 1;
    const at = stepOf(line);
    if (next > size || at === undefined || at > step) break;
    end = next;
  }
  return end;
}

function stepOf(line: string): number | undefined {
  try {
    const { step } = JSON.parse(line) as { step?: unknown };
    return typeof step === "number" ? step : undefined;
  } catch {
    return undefined;
  }
}
