// clang-format over native/, test/native/ and bench/native/: node scripts/format_native.mjs --check | --write [FILE...]
// The formatter comes from npm at a pinned version, so that every machine formats alike.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";
import init, { format } from "@wasm-fmt/clang-format";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const mode = argv[2];
if (mode !== "--check" && mode !== "--write") {
  console.error("usage: node scripts/format_native.mjs --check | --write [FILE...]");
  exit(2);
}

const named = argv.slice(3).map((path) => resolve(path));
const files =
  named.length > 0
    ? named
    : ["native", "test/native", "bench/native"].flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
          .filter((path) => /\.(h|cpp|cu|cuh)$/.test(path))
          .sort()
          .map((path) => join(root, folder, path)),
      );

await init();
const style = readFileSync(join(root, ".clang-format"), "utf8");
let different = 0;
for (const file of files) {
  const source = readFileSync(file, "utf8");
  const formatted = format(source, file.endsWith(".h") ? "main.h" : "main.cpp", style);
  if (formatted === source) continue;
  different += 1;
  if (mode === "--write") {
    writeFileSync(file, formatted);
    console.log(`formatted ${relative(root, file)}`);
  } else {
    const lines = source.split("\n");
    const line = formatted.split("\n").findIndex((text, index) => text !== lines[index]) + 1;
    console.error(`${relative(root, file)}:${line}: not formatted; run npm run format`);
  }
}
if (mode === "--check") {
  if (different > 0) exit(1);
  console.log(`clang-format: ${files.length} files formatted`);
}
