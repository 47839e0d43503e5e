import { execFileSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openToRead, readWhole } from "../../lib/base/regular_files.js";
import { temporaryFolder } from "../data/support.js";

describe("a file that is opened for reading", () => {
  it("may be named by a symbolic link", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "text");
    symlinkSync("file", join(folder, "link"));
    expect(String(await readWhole(join(folder, "link"), 4))).toBe("text");
  });

  it("is no pipe, device or folder", async () => {
    const folder = temporaryFolder();
    execFileSync("mkfifo", [join(folder, "pipe")]);
    symlinkSync("pipe", join(folder, "link"));
    for (const path of [join(folder, "pipe"), join(folder, "link")])
      await expect(openToRead(path)).rejects.toMatchObject({
        code: "NOT_A_FILE",
        message: "it is a pipe, and only files can be read; save what it gives to a file and name that",
      });
    await expect(readWhole("/dev/zero", 4)).rejects.toThrow("it is a device");
    await expect(openToRead(folder)).rejects.toMatchObject({ code: "EISDIR" });
    await expect(openToRead(join(folder, "absent"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is not read where it is larger than it may be", async () => {
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, "12345");
    await expect(readWhole(path, 4)).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
    expect(String(await readWhole(path, 5))).toBe("12345");
  });
});
