import { readFile, writeFile } from "node:fs/promises";
import { DdscError } from "../lib/base/errors.js";

/** Where and how something was measured. */
export interface Circumstances {
  readonly date: string;
  readonly cpu: string;
  /** "cpu (avx512, 2 threads)". */
  readonly device: string;
  readonly command: string;
}

/**
 * A document with what stands between the marks `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` replaced. Throws
 * `BENCH_RECORD` where the marks are missing.
 */
export function withSection(document: string, file: string, name: string, section: string): string {
  const first = `<!-- bench:${name} -->`;
  const last = `<!-- /bench:${name} -->`;
  const begin = document.indexOf(first);
  const end = document.indexOf(last, begin);
  if (begin < 0 || end < 0) {
    throw new DdscError(
      "BENCH_RECORD",
      `${file}: the marks ${first} and ${last} are missing; put them where figures go`,
      { file },
    );
  }
  return `${document.slice(0, begin + first.length)}\n${section}\n${document.slice(end)}`;
}

/** Writes a section between its marks in docs/performance.md. Throws as `withSection`. */
export async function record(name: string, section: string): Promise<void> {
  const file = "docs/performance.md";
  await writeFile(file, withSection(await readFile(file, "utf8"), file, name, section));
  console.log(`${file}: recorded`);
}
