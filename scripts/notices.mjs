// Licences of others: node scripts/notices.mjs [--check]
//   writes THIRD_PARTY_NOTICES.md, or checks that it is up to date: what the binaries hold of others
//   checks that every package that users install with this one, however deep, has a licence that is fine to depend on
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, exit } from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NOTICES = "THIRD_PARTY_NOTICES.md";

/** Packages whose code is compiled into the binaries. */
const COMPILED_IN = ["node-addon-api", "node-api-headers"];

/** Parts of the compilers, which come without a package. */
const LINKED_IN = `## GCC runtime libraries

The Linux binaries hold parts of libstdc++ and libgcc, linked statically. Copyright (C) Free Software Foundation, Inc.; GNU
General Public License version 3 with the GCC Runtime Library Exception version 3.1, which permits to convey the binaries under
terms of one's choice: <https://www.gnu.org/licenses/gcc-exception-3.1.html>.

## NVIDIA CUDA Runtime

Binaries with the CUDA backend hold the CUDA Runtime (cudart), linked statically. Copyright (C) NVIDIA Corporation; distributed
under Attachment A of the CUDA Toolkit End User License Agreement: <https://docs.nvidia.com/cuda/eula/>.
`;

/** Licences, by SPDX expression, that ask for no more than their text to be kept. */
const PERMISSIVE = new Set([
  "MIT",
  "ISC",
  "0BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "Unlicense",
]);
/** Licences of packages that are used as they come, beside this one: changes to their own files, and fonts by themselves, have terms. */
const AS_THEY_COME = new Set(["MPL-2.0", "OFL-1.1"]);
/** Packages whose licence stands in a file, by words of it that were read. */
const READ = { h5wasm: "You may use, \ncopy, and distribute copies of the software in any medium" };

function isPermissive(expression) {
  return expression
    .replace(/[()]/g, "")
    .split(" OR ")
    .some((choice) =>
      choice.split(" AND ").every((licence) => PERMISSIVE.has(licence) || AS_THEY_COME.has(licence)),
    );
}

function licenceText(folder) {
  const name = readdirSync(folder).find((file) => /^licen[cs]e(\.|$)/i.test(file));
  return name === undefined ? undefined : readFileSync(join(folder, name), "utf8").trim();
}

function notices() {
  const sections = COMPILED_IN.map((name) => {
    const text = licenceText(join(root, "node_modules", name));
    if (text === undefined) throw new Error(`${name} has no licence file`);
    return `## ${name}\n\n${text.replace(/^#+ .*\n+/, "")}\n`;
  });
  const opening =
    "# Third-party notices\n\nThe binaries of this package hold code of others. Packages that npm installs beside it keep their own licences.\n";
  return [opening, ...sections, LINKED_IN].join("\n");
}

/** Folders of the packages that users install, from npm's own list. */
function installedPackages() {
  const listed = spawnSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: root,
    encoding: "utf8",
  });
  return listed.stdout.trim().split("\n").slice(1);
}

function licenceProblems() {
  return installedPackages().flatMap((folder) => {
    const { name, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    if (typeof license === "string" && isPermissive(license)) return [];
    const words = READ[name];
    if (words !== undefined && licenceText(folder)?.includes(words)) return [];
    return [`${name} has the licence ${JSON.stringify(license)}, which nobody has looked at`];
  });
}

const problems = licenceProblems();
if (argv.includes("--check")) {
  if (readFileSync(join(root, NOTICES), "utf8") !== notices()) {
    problems.push(`${NOTICES} is not what the packages say: node scripts/notices.mjs`);
  }
} else writeFileSync(join(root, NOTICES), notices());
for (const problem of problems) console.error(`licences: ${problem}`);
if (problems.length === 0)
  console.log(`licences: ${installedPackages().length} packages, ${NOTICES} up to date`);
exit(problems.length === 0 ? 0 : 1);
