import { createRequire } from "node:module";

/** The package's name and version, for files that say what wrote them. */
export function packageVersion(): string {
  const { name, version } = createRequire(import.meta.url)("../../package.json") as {
    readonly name: string;
    readonly version: string;
  };
  return `${name} ${version}`;
}
