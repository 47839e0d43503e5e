import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Thrown by a check whose machine lacks what it needs. */
export class Skipped extends Error {}

/** Ends a check as failed unless this holds. */
export function require(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}

/** Runs checks one after the other, prints a line of each and counts. */
export class Checks {
  readonly #name: string;
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** @param body gives what was seen, in a line; throws where the check fails, `Skipped` where it cannot be made */
  async check(what: string, body: () => Promise<string>): Promise<void> {
    const begun = performance.now();
    const took = () => `${((performance.now() - begun) / 1000).toFixed(0)} s`;
    try {
      const seen = await body();
      this.#passed += 1;
      console.log(`passed   ${what}: ${seen} (${took()})`);
    } catch (error) {
      if (error instanceof Skipped) {
        this.#skipped += 1;
        console.log(`skipped  ${what}: ${error.message}`);
        return;
      }
      this.#failed += 1;
      console.log(`FAILED   ${what}: ${error instanceof Error ? error.message : String(error)} (${took()})`);
    }
  }

  /** Prints the last line and sets the exit code; a program that checked nothing has failed. */
  conclude(): void {
    console.log(`${this.#name}: ${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped`);
    if (this.#failed > 0 || this.#passed === 0) process.exitCode = 1;
  }
}

/**
 * Runs a program in a new folder, and removes what it made, also when it is interrupted.
 *
 * @param body hands over what is to be undone in the end, in the reverse order
 */
export async function inFolder(
  body: (folder: string, undoLater: (undo: () => Promise<void>) => void) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "ddsc-check-"));
  const undoes = [() => rm(folder, { recursive: true, force: true })];
  let undoing: Promise<void> | undefined;
  const undo = async () => {
    for (const each of undoes.reverse()) await each().catch((error) => console.error(String(error)));
  };
  const undoOnce = () => {
    undoing ??= undo();
    return undoing;
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => void undoOnce().then(() => process.exit(code)));
  }
  try {
    await body(folder, (each) => undoes.push(each));
  } finally {
    await undoOnce();
  }
}
