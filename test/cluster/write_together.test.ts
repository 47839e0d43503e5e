import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, ddsc, ended as endedProgram, start, writeStudy } from "../cli/program.js";
import { S3Server } from "../data/io/s3/s3_server.js";
import { ended, LAUNCHERS, mpirun, titleOf } from "./mpirun.js";

/** With the first launcher that is there all works are tried, with the others some: what is written, and by whom, is not theirs. */
const first = LAUNCHERS.find(({ program }) => program !== undefined);
/** 48 files of 3 cells each. */
const MANY = "s3://shards/*.parquet";

let folder: string;
let run: string;
let server: S3Server;
/** The words of each command that writes a store, and the files that one process makes. */
let works: Record<"convert" | "impute" | "embed" | "generate" | "impute-ranks" | "generate-ranks", string[]>;
const wholes = new Map<string, Map<string, unknown>>();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ddsc-cluster-store-"));
  const data = join(folder, "cells.h5ad");
  run = join(folder, "run");
  const ranks = join(folder, "ranks");
  await writeStudy(data);
  for (const words of [
    ["--out", run],
    ["--out", ranks, "--values", "ranks"],
  ]) {
    const { code, stderr } = await ddsc("train", "--data", data, "--steps", "2", "--batch", "16", ...words);
    if (code !== 0) throw new Error(stderr);
  }
  server = await S3Server.start();
  const shards = join(folder, "shards");
  const simulated = ["--simulate", "144", "--simulated-genes", "24", "--cells-per-file", "3"];
  const made = await ddsc("convert", ...simulated, "--out", shards);
  if (made.code !== 0) throw new Error(made.stderr);
  for (const name of await readdir(shards)) {
    if (name.endsWith(".parquet")) server.objects.set(`shards/${name}`, await readFile(join(shards, name)));
  }
  const drawn = ["--sampler", "ancestral", "--sampling-steps", "3", "--temperature", "1"];
  works = {
    convert: ["convert", "--simulate", "90", "--simulated-genes", "30"],
    impute: ["impute", "--model", run, "--data", data],
    embed: ["embed", "--model", run, "--data", data],
    generate: ["generate", "--model", run, "--cells", "20", "--sampling-steps", "2"],
    "impute-ranks": ["impute", "--model", ranks, "--data", data, ...drawn],
    "generate-ranks": ["generate", "--model", ranks, "--genes", "GENE03,GENE11", "--data", data, ...drawn],
  };
  for (const [name, words] of Object.entries(works)) {
    const out = join(folder, `whole-${name}.zarr`);
    const whole = await ddsc(...words, "--out", out);
    if (whole.code !== 0) throw new Error(whole.stderr);
    wholes.set(name, await filesIn(out));
  }
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

/** The files of cells that were opened, in order. */
const opened = () => server.requests.filter((request) => /train-.* bytes=0-7$/.test(request));

/** All files of a store, as text; of the consolidated metadata what it says, in whatever order. */
async function filesIn(store: string): Promise<Map<string, unknown>> {
  const entries = await readdir(store, { recursive: true, withFileTypes: true });
  const files = new Map<string, unknown>();
  for (const name of entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name)))
    files.set(name.slice(store.length), (await readFile(name)).toString("latin1"));
  files.set("/.zmetadata", JSON.parse(String(files.get("/.zmetadata"))));
  return files;
}

/** What is beside a store under its name, hidden or not. */
const besides = async (name: string) => (await readdir(folder)).filter((each) => each.includes(name)).sort();

/** The process of rank 1 below a launcher. */
async function pidOfRank1(parent: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8").catch(() => "");
  for (const pid of children.split(" ").filter(Boolean).map(Number)) {
    const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
    if (/(^|\0)(OMPI_COMM_WORLD_RANK|PMI_RANK|RANK)=1\0/.test(environment)) return pid;
    const below = await pidOfRank1(pid);
    if (below !== undefined) return below;
  }
  return undefined;
}

describe.each(LAUNCHERS.map((launcher) => ({ launcher, title: titleOf(launcher) })))(
  "$title",
  ({ launcher }) => {
    const available = it.skipIf(launcher.program === undefined);
    const together = (words: readonly string[]) => ended(mpirun(launcher, 2, command(words)));

    available(
      "two processes write one store, with the bytes of one process, and leave no part; what is there is not replaced",
      async () => {
        const tried = Object.entries(works).slice(0, launcher === first ? undefined : 2);
        for (const [name, words] of tried) {
          const out = `${launcher.name}-one-${name}.zarr`;
          const two = await together([...words, "--out", join(folder, out), "--json"]);
          expect(two.code, two.stderr).toBe(0);
          expect(
            two.stdout.match(/^.+: \d+ cells x \d+ genes of 2 parts; \d+ chunks taken over/gm),
          ).toHaveLength(1);
          const found = JSON.parse(two.stdout.trimEnd().split("\n").at(-1)!);
          expect(found).toMatchObject({
            out: join(folder, out),
            parts: 2,
            chunks: { linked: expect.any(Number) },
          });
          expect(await filesIn(join(folder, out))).toEqual(wholes.get(name));
          expect(await besides(out.slice(0, -5))).toEqual([out]);
        }
        const again = await together([
          ...works.convert,
          "--out",
          join(folder, `${launcher.name}-one-convert.zarr`),
        ]);
        expect(again.code).not.toBe(0);
        expect(again.stderr).toMatch(/^ddsc: FILE_EXISTS: /m);
      },
      240_000,
    );

    available(
      "a rank that is killed while it writes leaves nothing but whole parts, which are kept by the next run",
      async () => {
        const name = `${launcher.name}-killed`;
        const out = join(folder, `${name}.zarr`);
        const words = ["convert", "--simulate", "4000", "--simulated-genes", "300", "--out", out];
        const job = mpirun(launcher, 2, command(words));
        const end = ended(job);
        while (!(await besides(name)).some((each) => each.startsWith(`.${name}.part-002-of-002`))) {
          expect(job.exitCode).toBeNull();
          await setTimeout(5);
        }
        process.kill((await pidOfRank1(job.pid!))!, "SIGKILL");
        expect((await end).code).not.toBe(0);
        expect((await besides(name)).filter((each) => !each.startsWith("."))).not.toContain(`${name}.zarr`);
        // A part of rank 0, as it was.
        const first = await ddsc(...words, "--shard", "1/2");
        expect(first.code, first.stderr).toBe(0);
        await writeFile(join(folder, `${name}.part-002-of-002.zarr`), "in the way");
        const refused = await together(words);
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toMatch(/^ddsc: FILE_EXISTS: .*part-002-of-002/m);
        const there = (await besides(name)).filter((each) => !each.startsWith("."));
        expect(there).toEqual([`${name}.part-001-of-002.zarr`, `${name}.part-002-of-002.zarr`]);
        await rm(join(folder, `${name}.part-002-of-002.zarr`));
        const next = await together(words);
        expect(next.code, next.stderr).toBe(0);
        expect(next.stdout).toContain("part-001-of-002.zarr: this part is there already");
        expect(next.stdout).toMatch(/4,000 cells x 300 genes of 2 parts/);
        expect(await besides(name)).toEqual([`${name}.zarr`]);
      },
      240_000,
    );

    available(
      "two processes open many files once between them, and each writes its part",
      async () => {
        const [name, env] = [`${launcher.name}-many`, { AWS_ENDPOINT_URL_S3: server.endpoint }];
        const named = ["--model", run, "--seed", "1"];
        const works = {
          convert: ["convert", MANY],
          impute: ["impute", ...named.slice(0, 2), "--data", MANY],
          embed: ["embed", ...named.slice(0, 2), "--data", MANY],
          generate: ["generate", ...named, "--like", MANY, "--sampling-steps", "2"],
        };
        const tried = Object.entries(works).slice(0, launcher === first ? undefined : 1);
        for (const [work, words] of tried) {
          const [out, whole] = [join(folder, `${name}-${work}.h5ad`), join(folder, `many-${work}.h5ad`)];
          const one = await endedProgram(start([...words, "--out", whole, "--overwrite"], env));
          expect(one.code, one.stderr).toBe(0);
          server.requests.length = 0;
          const two = await ended(mpirun(launcher, 2, command([...words, "--out", out]), env));
          expect(two.code, two.stderr).toBe(0);
          expect(two.stdout.match(/^cluster {2}rank 0 of 2 /gm)).toHaveLength(1);
          for (const part of ["001", "002"])
            expect(two.stdout).toContain(`-${work}.part-${part}-of-002.h5ad: `);
          // Before any is opened to be read.
          expect(new Set(opened().slice(0, 48)).size).toBe(48);
          const merged = await ddsc("merge", "--out", out);
          expect(merged.code, merged.stderr).toBe(0);
          expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
        }
      },
      240_000,
    );

    available(
      "ddsc merge on two processes joins the parts of array jobs, which stay",
      async () => {
        const name = `${launcher.name}-array`;
        const words = ["--simulate", "50", "--simulated-genes", "20", "--out", join(folder, `${name}.zarr`)];
        for (const shard of ["1/3", "2/3", "3/3"])
          expect((await ddsc("convert", ...words, "--shard", shard)).code).toBe(0);
        const merged = await together(["merge", "--out", join(folder, `${name}.zarr`)]);
        expect(merged.code, merged.stderr).toBe(0);
        const whole = join(folder, `${name}-whole.zarr`);
        await ddsc("convert", ...words.slice(0, -1), whole);
        expect(await filesIn(join(folder, `${name}.zarr`))).toEqual(await filesIn(whole));
        expect((await besides(name)).filter((each) => each.includes(".part-"))).toHaveLength(3);
      },
      120_000,
    );
  },
);
