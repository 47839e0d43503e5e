// Reads what a 64-bit little-endian ELF file asks of the system it is loaded on.
const MACHINES = new Map([
  [62, "x64"],
  [183, "arm64"],
]);
const Section = { symbols: 2, dynamic: 6, versionNeeds: 0x6ffffffe, dynamicSymbols: 11 };
const Dynamic = { needed: 1, rpath: 15, runpath: 29 };

/** A section as its header describes it. */
function sectionAt(file, offset) {
  return {
    type: file.readUInt32LE(offset + 4),
    start: Number(file.readBigUInt64LE(offset + 24)),
    size: Number(file.readBigUInt64LE(offset + 32)),
    link: file.readUInt32LE(offset + 40),
    count: file.readUInt32LE(offset + 44),
  };
}

function textAt(file, strings, offset) {
  const start = strings.start + offset;
  return file.toString("latin1", start, file.indexOf(0, start));
}

/** Versions of symbols that are needed, such as "GLIBC_2.34". */
function neededVersions(file, section, strings) {
  const versions = [];
  for (let need = section.start, left = section.count; left > 0; left--) {
    let entry = need + file.readUInt32LE(need + 8);
    for (let entries = file.readUInt16LE(need + 2); entries > 0; entries--) {
      versions.push(textAt(file, strings, file.readUInt32LE(entry + 8)));
      entry += file.readUInt32LE(entry + 12);
    }
    need += file.readUInt32LE(need + 12);
  }
  return versions;
}

/** Names of the symbols that a dynamic library defines for others. */
function definedSymbols(file, section, strings) {
  const names = [];
  for (let at = section.start; at < section.start + section.size; at += 24) {
    const isDefined = file.readUInt16LE(at + 6) !== 0;
    if (isDefined) names.push(textAt(file, strings, file.readUInt32LE(at)));
  }
  return names.filter((name) => name !== "");
}

/** What a shared library needs and shows; throws for a file that is none of the kind. */
export function readElf(file) {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
    throw new Error("no 64-bit little-endian ELF file");
  }
  const headers = Number(file.readBigUInt64LE(40));
  const [size, count] = [file.readUInt16LE(58), file.readUInt16LE(60)];
  const sections = Array.from({ length: count }, (_, i) => sectionAt(file, headers + i * size));
  const found = {
    machine: MACHINES.get(file.readUInt16LE(18)) ?? "unknown",
    libraries: [],
    searchPaths: [],
    versions: [],
    exports: [],
    isStripped: !sections.some(({ type }) => type === Section.symbols),
  };
  for (const section of sections) {
    const strings = sections[section.link];
    if (section.type === Section.versionNeeds) found.versions = neededVersions(file, section, strings);
    if (section.type === Section.dynamicSymbols) found.exports = definedSymbols(file, section, strings);
    if (section.type !== Section.dynamic) continue;
    for (let at = section.start; at < section.start + section.size; at += 16) {
      const [tag, value] = [Number(file.readBigUInt64LE(at)), Number(file.readBigUInt64LE(at + 8))];
      if (tag === Dynamic.needed) found.libraries.push(textAt(file, strings, value));
      if (tag === Dynamic.rpath || tag === Dynamic.runpath)
        found.searchPaths.push(textAt(file, strings, value));
    }
  }
  return found;
}
