import { DdscError } from "../errors.js";
import { describeContent, readContent } from "./content.js";
import { formats } from "./formats.js";
import { MemorySource } from "./memory.js";
import type { CellSource, OpenOptions, SourceDescriptor } from "./source.js";
import { subsetSource } from "./subset.js";

/**
 * Opens a file of cells. The format is found by content, not by name.
 *
 * Throws `DATA_NOT_FOUND`, `DATA_UNREADABLE`, `DATA_FORMAT` (naming what was found and what is supported) and the
 * errors of the format's reader: see `H5adSource.open`.
 */
export async function openCells(path: string, options: OpenOptions = {}): Promise<CellSource> {
  const content = await readContent(path);
  for (const format of formats) if (await format.matches(content)) return format.open(path, options);
  const supported = formats.map(({ name }) => name).join(", ");
  throw new DdscError("DATA_FORMAT", `${path}: ${describeContent(content)}; supported are ${supported}`, {
    file: path,
  });
}

/** Opens the source again that `CellSource.descriptor` described. Throws as `openCells` does. */
export async function openSource(descriptor: SourceDescriptor): Promise<CellSource> {
  switch (descriptor.kind) {
    case "file":
      return openCells(descriptor.path, descriptor.options);
    case "memory":
      return new MemorySource(descriptor.cells);
    case "subset": {
      const whole = await openSource(descriptor.source);
      return subsetSource(whole, descriptor.rows, () => whole[Symbol.dispose]());
    }
  }
}
