import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openData } from "../../../../lib/cli/shared/open.js";
import { HttpFile } from "../../../../lib/data/io/random_access_http.js";
import { parseS3 } from "../../../../lib/data/io/s3/address.js";
import { listS3 } from "../../../../lib/data/io/s3/listing.js";
import { expandS3 } from "../../../../lib/data/io/s3/pattern.js";
import { openCells } from "../../../../lib/data/open/open_cells.js";
import { recordData } from "../../../../lib/training/run_data.js";
import type { Fault } from "../http_server.js";
import { refuse, S3Server } from "./s3_server.js";

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) & 255);
const quick = { pauseMs: 1, tries: 3, timeoutMs: 250, leastBytes: 100 };
const account = { id: "AKIDEXAMPLE", secret: "s3cr3t/with+signs", token: "t0ken" };
const folder = new URL("../../../fixtures/tahoe/", import.meta.url).pathname;
let server: S3Server;

/** Signs in as somebody. */
function signIn({ id, secret, token }: { id?: string; secret?: string; token?: string }): void {
  vi.stubEnv("AWS_ACCESS_KEY_ID", id);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", secret);
  vi.stubEnv("AWS_SESSION_TOKEN", token);
}

const always =
  (status: number, code: string, more?: string): Fault =>
  (_, response) => {
    refuse(response, status, code, more);
    return true;
  };

beforeEach(async () => {
  server = await S3Server.start();
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_ENDPOINT_URL_S3", server.endpoint);
  server.objects.set("data/a/cells.parquet", bytes);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await server.stop();
});

describe("an object of S3", () => {
  it("is read by ranges without a signature where there are no credentials", async () => {
    const file = await HttpFile.open("s3://data/a/cells.parquet", quick);
    expect(file.size).toBe(5000);
    expect(file.name).toBe("s3://data/a/cells.parquet");
    expect(await file.read(100, 20)).toEqual(bytes.slice(100, 120));
    expect(server.requests).toEqual(["data/a/cells.parquet bytes=0-7", "data/a/cells.parquet bytes=100-119"]);
  });

  it.each([account, { ...account, token: undefined }])(
    "is asked for with a signature that is right",
    async (who) => {
      server.account = who as typeof account;
      signIn(who as typeof account);
      const file = await HttpFile.open("s3://data/a/cells.parquet", quick);
      expect(await file.read(100, 20)).toEqual(bytes.slice(100, 120));
    },
  );

  it.each(["a b+c/%41&=é?.parquet", "x//y'(1)!*~.parquet", "#/[1]{2}.parquet"])(
    "may be called %s",
    async (key) => {
      server.objects.set(`data/${key}`, bytes);
      server.account = account;
      signIn(account);
      const file = await HttpFile.open(`s3://data/${key}`, quick);
      expect(await file.read(10, 3)).toEqual(bytes.slice(10, 13));
      expect(await expandS3(`s3://data/${key}`, quick)).toEqual([`s3://data/${key}`]);
    },
  );

  it.each([
    "s3://",
    "s3://data",
    "s3://data/",
    "s3://a/x",
    "s3://no bucket/x",
    "s3://user@host:80/x",
    "s3://data/a/../b",
    "s3://a..b/x",
  ])("is not asked for at %s", async (address) => {
    await expect(HttpFile.open(address, quick)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: expect.stringContaining("write s3://BUCKET/KEY"),
    });
    expect(server.requests).toEqual([]);
  });

  it("is asked for at its bucket's own host of AWS, in the region of the environment", async () => {
    vi.stubEnv("AWS_ENDPOINT_URL_S3", "");
    vi.stubEnv("AWS_REGION", "eu-west-3");
    signIn(account);
    const asked = vi
      .spyOn(globalThis, "fetch")
      .mockImplementation(
        async () => new Response("12345678", { status: 206, headers: { "content-range": "bytes 0-7/99" } }),
      );
    await HttpFile.open("s3://tahoe-100m/a b.parquet", quick);
    await HttpFile.open("s3://with.dots/a.parquet", quick);
    expect(asked.mock.calls.map(([url]) => String(url))).toEqual([
      "https://tahoe-100m.s3.eu-west-3.amazonaws.com/a%20b.parquet",
      "https://s3.eu-west-3.amazonaws.com/with.dots/a.parquet",
    ]);
    const [, init] = asked.mock.calls[0] ?? [];
    const headers = init?.headers as Record<string, string>;
    expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-3\/s3\//);
    expect(headers.range).toBe("bytes=0-7");
  });
});

describe("S3 that does not give an object", () => {
  it.each([
    ["a bucket there is not", 404, "NoSuchBucket", "DATA_NOT_FOUND", /no such bucket at 127/],
    ["a key there is not", 404, "NoSuchKey", "DATA_NOT_FOUND", /no such object at 127/],
    ["rights that are missing", 403, "AccessDenied", "DATA_ACCESS_DENIED", /s3:GetObject/],
    ["another's key", 403, "InvalidAccessKeyId", "DATA_ACCESS_DENIED", /check AWS_ACCESS_KEY_ID/],
    ["a wrong secret", 403, "SignatureDoesNotMatch", "DATA_ACCESS_DENIED", /check AWS_ACCESS_KEY_ID/],
    ["credentials of yesterday", 400, "ExpiredToken", "DATA_ACCESS_DENIED", /have expired/],
    ["a clock that is wrong", 403, "RequestTimeTooSkewed", "DATA_ACCESS_DENIED", /clock/],
    ["a region it does not name", 301, "PermanentRedirect", "DATA_UNREADABLE", /set AWS_REGION/],
    ["what it does not do", 501, "NotImplemented", "DATA_UNREADABLE", /501 \(NotImplemented\)/],
  ])("for %s says so, once, and quotes no secret", async (_, status, code, expected, text) => {
    signIn(account);
    server.fault = always(status, code);
    const error = await HttpFile.open("s3://data/a/cells.parquet", quick).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: expected, message: expect.stringMatching(text) });
    expect(String(error)).toContain("s3://data/a/cells.parquet");
    expect(JSON.stringify([String(error), error])).not.toMatch(/AKIDEXAMPLE|s3cr3t|t0ken/);
    expect(server.requests).toHaveLength(1);
  });

  it("for want of credentials says which variables to set", async () => {
    server.account = account;
    await expect(HttpFile.open("s3://data/a/cells.parquet", quick)).rejects.toMatchObject({
      code: "DATA_ACCESS_DENIED",
      message: expect.stringMatching(/without credentials.*set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/),
    });
  });

  it("for a secret that is not the key's says so", async () => {
    server.account = account;
    signIn({ ...account, secret: "another" });
    await expect(HttpFile.open("s3://data/a/cells.parquet", quick)).rejects.toThrow(/SignatureDoesNotMatch/);
  });

  it.each([
    [503, "SlowDown"],
    [400, "RequestTimeout"],
    [500, "InternalError"],
  ])("because it is busy (%d %s) is asked again", async (status, code) => {
    server.fault = (request, response, number) =>
      number === 1 && always(status, code)(request, response, number);
    expect((await HttpFile.open("s3://data/a/cells.parquet", quick)).size).toBe(5000);
    expect(server.requests).toHaveLength(2);
    server.fault = always(status, code);
    await expect(HttpFile.open("s3://data/a/cells.parquet", quick)).rejects.toThrow(/after 3 tries/);
  });

  it("because it was replaced while it was read is given up", async () => {
    const file = await HttpFile.open("s3://data/a/cells.parquet", quick);
    server.etags.set("data/a/cells.parquet", "two");
    await expect(file.read(100, 10)).rejects.toMatchObject({ code: "DATA_CHANGED" });
  });

  it("because credentials have expired while it was read says so", async () => {
    const file = await HttpFile.open("s3://data/a/cells.parquet", quick);
    server.fault = always(400, "ExpiredToken");
    await expect(file.read(100, 10)).rejects.toMatchObject({ code: "DATA_ACCESS_DENIED" });
  });

  it.each([
    ["its document", "", "<Region>eu-west-3</Region>", 400],
    ["a header", "eu-west-3", "", 301],
  ])("in this region is asked in the one that %s names, from then on", async (_, header, more, status) => {
    const bucket = `moved-${status}`;
    server.objects.set(`${bucket}/x`, bytes);
    server.account = account;
    server.region = "eu-west-3";
    signIn(account);
    server.fault = (request, response) => {
      if (request.headers.authorization?.includes("/eu-west-3/") === true) return false;
      if (header !== "") response.setHeader("x-amz-bucket-region", header);
      refuse(response, status, "PermanentRedirect", more);
      return true;
    };
    const file = await HttpFile.open(`s3://${bucket}/x`, quick);
    expect(await file.read(100, 4)).toEqual(bytes.slice(100, 104));
    expect(server.requests).toHaveLength(3);
  });

  it("and names a host in place of a region is not followed", async () => {
    server.fault = (_, response) => {
      response.setHeader("location", "http://evil.example/");
      response.setHeader("x-amz-bucket-region", "evil.example/");
      refuse(response, 307, "TemporaryRedirect");
      return true;
    };
    const asked = vi.spyOn(globalThis, "fetch");
    await expect(HttpFile.open("s3://data/a/cells.parquet", quick)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: expect.not.stringContaining("evil"),
    });
    expect(asked).toHaveBeenCalledTimes(1);
  });
});

describe("a presigned address", () => {
  it("is read as it is, without the credentials of the environment, and shows nothing that lets one in", async () => {
    signIn(account);
    let authorization: string | undefined = "none";
    server.fault = (request) => {
      authorization = request.headers.authorization;
      return false;
    };
    const query = "X-Amz-Credential=AKIDEXAMPLE%2F20260101&X-Amz-Security-Token=t0ken&X-Amz-Signature=s1gn3d";
    const file = await HttpFile.open(`${server.endpoint}/data/a/cells.parquet?${query}`, quick);
    expect(await file.read(100, 5)).toEqual(bytes.slice(100, 105));
    expect(authorization).toBeUndefined();
    server.fault = always(403, "AccessDenied");
    const error = await file.read(100, 5).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: "DATA_ACCESS_DENIED",
      message: expect.stringMatching(/may have expired.*get a new one/),
    });
    expect(inspect([file.name, error])).not.toMatch(/AKIDEXAMPLE|t0ken|s1gn3d/);
    const broken = await HttpFile.open("http://[oops/x?sig=s1gn3d", quick).catch((caught: unknown) => caught);
    expect(inspect(broken)).not.toMatch(/s1gn3d/);
  });
});

describe("variables of the environment", () => {
  it.each([
    ["AWS_SECRET_ACCESS_KEY", { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE" }],
    ["AWS_ACCESS_KEY_ID", { AWS_SECRET_ACCESS_KEY: "s3cr3t" }],
    [
      "AWS_SESSION_TOKEN",
      { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "s3cr3t", AWS_SESSION_TOKEN: "t0\nken" },
    ],
    ["AWS_REGION", { AWS_REGION: "evil.example/" }],
    ["AWS_DEFAULT_REGION", { AWS_DEFAULT_REGION: "a b" }],
    ["AWS_ENDPOINT_URL_S3", { AWS_ENDPOINT_URL_S3: "minio:9000" }],
    ["AWS_ENDPOINT_URL_S3", { AWS_ENDPOINT_URL_S3: "https://ann:s3cr3t@minio.example" }],
  ])("that are wrong are named, not quoted: %s", async (name, variables) => {
    for (const [variable, value] of Object.entries(variables)) vi.stubEnv(variable, value);
    const error = await HttpFile.open("s3://data/a/cells.parquet", quick).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "STORAGE_ENVIRONMENT", message: expect.stringContaining(name) });
    expect(String(error)).not.toMatch(/AKIDEXAMPLE|s3cr3t|t0|ken|evil|ann/);
    expect(server.requests).toEqual([]);
  });
});

describe("a list of objects", () => {
  const where = { bucket: "data", prefix: "a/", isFlat: false, name: "s3://data/a/*" };

  it("is read page by page", async () => {
    const keys = Array.from({ length: 25 }, (_, i) => `a/${String(i).padStart(2, "0")}`);
    for (const key of keys) server.objects.set(`data/${key}`, bytes);
    server.pageKeys = 4;
    server.account = account;
    signIn(account);
    expect(await listS3(where, quick)).toEqual([...keys, "a/cells.parquet"]);
    expect(server.requests).toHaveLength(7);
  });

  it.each([true, false])("holds keys of any characters, escaped or not (%s)", async (isEscaped) => {
    const keys = ["a/1 & <2>.parquet", "a/a+b.parquet", "a/ü%20.parquet", "a/cells.parquet"];
    if (isEscaped) for (const key of keys) server.objects.set(`data/${key}`, bytes);
    else {
      // As a service that does not know of encoding-type.
      server.fault = (_, response) => {
        const escaped = (key: string) =>
          key.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("ü", "&#252;");
        const contents = keys.map((key) => `<Contents><Key>${escaped(key)}</Key></Contents>`).join("");
        response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
        return true;
      };
    }
    expect((await listS3(where, quick)).sort()).toEqual([...keys].sort());
  });

  it.each([
    [
      "ends in the middle",
      "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/x</Key></Contents>",
    ],
    ["ends in the middle of a key", "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/x"],
    [
      "has fewer keys than it says",
      "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>2</KeyCount><Contents><Key>a/x</Key></Contents></ListBucketResult>",
    ],
    ["does not say whether it ends", "<ListBucketResult></ListBucketResult>"],
    ["does not say where it goes on", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"],
    ["is another document", "<html><body>Welcome</body></html>"],
    ["is none", ""],
    [
      "holds a broken escape",
      "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>%E0%A4</Key></Contents></ListBucketResult>",
    ],
  ])("that %s is asked for again, and given up", async (_, document) => {
    server.fault = (_, response, number) => {
      if (number < 3) response.end(document);
      return number < 3;
    };
    expect(await listS3(where, quick)).toEqual(["a/cells.parquet"]);
    server.fault = (_, response) => {
      response.end(document);
      return true;
    };
    await expect(listS3(where, quick)).rejects.toMatchObject({
      code: "DATA_UNREADABLE",
      message: expect.stringMatching(/s3:\/\/data\/a\/\*.*after 3 tries.*list/),
    });
  });

  it("that leads in a circle is given up", async () => {
    server.fault = (_, response) => {
      response.end(
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></ListBucketResult>",
      );
      return true;
    };
    await expect(listS3(where, quick)).rejects.toThrow(/leads back/);
  });

  it("of a bucket that is not there, or is not shown, is an error that names it", async () => {
    await expect(listS3({ ...where, bucket: "none", name: "s3://none/*" }, quick)).rejects.toThrow(
      /DATA_NOT_FOUND: s3:\/\/none\/\*: there is no such bucket/,
    );
    server.account = account;
    await expect(listS3(where, quick)).rejects.toThrow(/DATA_ACCESS_DENIED: s3:\/\/data\/a\/\*/);
  });
});

describe("a pattern", () => {
  beforeEach(() => {
    for (const key of [
      "t/1.parquet",
      "t/2.parquet",
      "t/2.arrow",
      "t/gene_metadata.parquet",
      "t/deep/3.parquet",
      "t/deep/",
      "u/[1].parquet",
    ])
      server.objects.set(`data/${key}`, bytes);
  });

  it.each([
    ["t/*.parquet", ["t/1.parquet", "t/2.parquet", "t/gene_metadata.parquet"]],
    ["t/?.parquet", ["t/1.parquet", "t/2.parquet"]],
    ["t/[2-9].*", ["t/2.arrow", "t/2.parquet"]],
    ["t/{1,deep/3}.parquet", ["t/1.parquet", "t/deep/3.parquet"]],
    ["t/**/*.parquet", ["t/1.parquet", "t/2.parquet", "t/deep/3.parquet", "t/gene_metadata.parquet"]],
    ["t/", ["t/1.parquet", "t/2.arrow", "t/2.parquet", "t/deep/3.parquet", "t/gene_metadata.parquet"]],
    ["t/1*.parquet", ["t/1.parquet"]],
    ["u/[1].parquet", ["u/[1].parquet"]],
    ["none/*", []],
  ])("%s fits %s", async (pattern, keys) => {
    expect(await expandS3(`s3://data/${pattern}`, quick)).toEqual(keys.map((key) => `s3://data/${key}`));
  });

  it("that fits nothing ends in an error", async () => {
    await expect(openCells("s3://data/none/*")).rejects.toMatchObject({
      code: "DATA_NOT_FOUND",
      message: expect.stringContaining("no object of the bucket fits this pattern"),
    });
  });
});

describe("cells in S3", () => {
  const expected = JSON.parse(readFileSync(`${folder}expected.json`, "utf8")) as { ids: string[] };
  beforeEach(() => {
    for (const name of ["snappy.parquet", "gzip_plain.parquet", "gene_metadata.parquet", "stream.arrow"])
      server.objects.set(`data/set/${name}`, readFileSync(folder + name));
    server.account = account;
    signIn(account);
  });

  it("of a pattern are one source, their table of genes found beside them, and no secret in the record", async () => {
    using source = await openCells("s3://data/set/*.parquet");
    expect(source.cellCount).toBe(2 * expected.ids.length);
    const ids = await source.cellIds(Int32Array.from(expected.ids.keys()));
    expect(ids).toEqual(expected.ids);
    const record = await recordData(source, { where: null, heldOut: null });
    expect(JSON.stringify(record)).toContain('"s3://data/set/snappy.parquet"');
    expect(JSON.stringify([record, source.notes])).not.toMatch(/AKIDEXAMPLE|s3cr3t|t0ken/);
  });

  it("are read from several addresses that the command line names together", async () => {
    const paths = "s3://data/set/snappy.parquet,s3://data/set/gzip_plain.parquet";
    const options = { raw: false, transpose: false } as Parameters<typeof openData>[1];
    using source = await openData(paths, options);
    expect(source.cellCount).toBe(2 * expected.ids.length);
  });

  it("take two requests a file and one look for the table of their genes, however many they are", async () => {
    const address = (i: number) => `s3://many/set/${i}.parquet`;
    for (let i = 0; i < 40; i++)
      server.objects.set(`many/set/${i}.parquet`, readFileSync(`${folder}snappy.parquet`));
    server.objects.set("many/set/gene_metadata.parquet", readFileSync(`${folder}gene_metadata.parquet`));
    using source = await openCells("s3://many/set/[0-9]*.parquet");
    expect(source.cellCount).toBe(40 * expected.ids.length);
    const tables = server.requests.filter((request) => request.includes("gene_metadata"));
    expect(server.requests.filter((request) => request.includes(address(7).slice(5)))).toHaveLength(2);
    expect(tables.length).toBeLessThan(10);
  });

  it("are read from Arrow, too", async () => {
    using source = await openCells("s3://data/set/stream.arrow");
    expect(await source.cellIds(Int32Array.from(expected.ids.keys()))).toEqual(expected.ids);
  });

  it("whose table of genes may not be read are an error that says so", async () => {
    server.objects.set("closed/set/snappy.parquet", readFileSync(`${folder}snappy.parquet`));
    server.fault = (request, response) => {
      const isTable = /gene_metadata|vocab/.test(request.url ?? "");
      if (isTable) refuse(response, 403, "AccessDenied");
      return isTable;
    };
    await expect(openCells("s3://closed/set/snappy.parquet")).rejects.toMatchObject({
      code: "DATA_MISSING_GENES",
      message: expect.stringMatching(
        /may not be read, or is not there: s3:\/\/closed\/set\/gene_metadata\.parquet/,
      ),
    });
  });
});

describe("a bucket and its key", () => {
  it("are told apart at the first slash", () => {
    expect(parseS3("S3://data/a/b?c#d", "")).toEqual({ bucket: "data", key: "a/b?c#d" });
  });
});
