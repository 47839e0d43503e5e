import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Fault } from "../http_server.js";

/** Whom a server lets in. */
export interface Account {
  readonly id: string;
  readonly secret: string;
  readonly token?: string;
}

/** A stand-in for S3 on this machine, with buckets in the path; it checks signatures by a computation of its own. */
export class S3Server {
  /** Objects as `bucket/key`. */
  readonly objects = new Map<string, Uint8Array>();
  /** ETags of objects that have another than the hash of their bytes. */
  readonly etags = new Map<string, string>();
  /** What was asked for, and of what range. */
  readonly requests: string[] = [];
  /** Who may read; undefined: anyone, without a signature. */
  account: Account | undefined;
  region = "us-east-1";
  /** Keys of one answer. */
  pageKeys = 1000;
  /** Looked at before every answer. */
  fault: Fault = () => false;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<S3Server> {
    const server = new S3Server();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", this.endpoint);
    const path = decodeURIComponent(url.pathname.slice(1));
    this.requests.push(`${path} ${request.headers.range ?? url.search}`);
    if (this.fault(request, response, this.requests.length)) return;
    const refusal = this.#refusal(request);
    if (refusal !== undefined) refuse(response, ...refusal);
    else if (url.searchParams.get("list-type") === "2") this.#list(response, path, url.searchParams);
    else this.#get(request, response, path);
  }

  #refusal({ headers, url = "" }: IncomingMessage): readonly [number, string, string?] | undefined {
    if (this.account === undefined)
      return headers.authorization === undefined ? undefined : [403, "InvalidAccessKeyId"];
    const { authorization = "" } = headers;
    const [, id, day = "", region = "", signed = "", signature] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
        authorization,
      ) ?? [];
    if (id === undefined) return [403, "AccessDenied"];
    if (id !== this.account.id) return [403, "InvalidAccessKeyId"];
    if (region !== this.region)
      return [400, "AuthorizationHeaderMalformed", `<Region>${this.region}</Region>`];
    if (headers["x-amz-security-token"] !== this.account.token) return [403, "InvalidToken"];
    const [path = "", search = ""] = url.split("?");
    const escaped = (text: string) =>
      encodeURIComponent(text).replaceAll(
        /[!'()*]/g,
        (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
      );
    const query = [...new URLSearchParams(search)].map((pair) => pair.map(escaped).join("=")).sort();
    const names = signed.split(";");
    const canonical = [
      "GET",
      path.split("/").map(decodeURIComponent).map(escaped).join("/"),
      query.join("&"),
      ...names.map((name) => `${name}:${headers[name]}`),
      "",
      signed,
      headers["x-amz-content-sha256"],
    ].join("\n");
    const scope = `${day}/${region}/s3/aws4_request`;
    const hash = createHash("sha256").update(canonical).digest("hex");
    const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hash].join("\n");
    let key: Buffer | string = `AWS4${this.account.secret}`;
    for (const part of [...scope.split("/"), text]) key = createHmac("sha256", key).update(part).digest();
    const isRight = (key as Buffer).toString("hex") === signature && names.includes("host");
    return isRight ? undefined : [403, "SignatureDoesNotMatch"];
  }

  #list(response: ServerResponse, path: string, query: URLSearchParams): void {
    const bucket = path.replace(/\/$/, "");
    const prefix = query.get("prefix") ?? "";
    const below = [...this.objects.keys()]
      .filter((name) => name.startsWith(`${bucket}/`))
      .map((name) => name.slice(bucket.length + 1))
      .filter((key) => key.startsWith(prefix));
    if (![...this.objects.keys()].some((name) => name.startsWith(`${bucket}/`))) {
      refuse(response, 404, "NoSuchBucket");
      return;
    }
    const delimiter = query.get("delimiter");
    const groupOf = (key: string) => {
      const end = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
      return end < 0 ? undefined : key.slice(0, end + 1);
    };
    const entries = [...new Set(below.map((key) => groupOf(key) ?? key))].sort();
    const from = Number(query.get("continuation-token")?.replace("from ", "") ?? 0);
    const page = entries.slice(from, from + this.pageKeys);
    const next = from + this.pageKeys < entries.length ? `from ${from + this.pageKeys}` : undefined;
    const isUrl = query.get("encoding-type") === "url";
    const text = (key: string) =>
      isUrl ? encodeURIComponent(key).replaceAll("%20", "+") : key.replaceAll("&", "&amp;");
    const parts = page.map((entry) =>
      entry.endsWith("/") && delimiter !== null
        ? `<CommonPrefixes><Prefix>${text(entry)}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${text(entry)}</Key><Size>1</Size></Contents>`,
    );
    response
      .writeHead(200, { "content-type": "application/xml" })
      .end(
        `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name>${
          isUrl ? "<EncodingType>url</EncodingType>" : ""
        }<KeyCount>${page.length}</KeyCount><IsTruncated>${next !== undefined}</IsTruncated>${
          next === undefined ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`
        }${parts.join("")}</ListBucketResult>`,
      );
  }

  #get({ headers }: IncomingMessage, response: ServerResponse, name: string): void {
    const bytes = this.objects.get(name);
    if (bytes === undefined) {
      refuse(response, 404, "NoSuchKey");
      return;
    }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
    const start = Number(first);
    const end = Math.min(Number(last) + 1, bytes.length);
    const etag = this.etags.get(name) ?? createHash("md5").update(bytes).digest("hex");
    response.writeHead(206, {
      etag: `"${etag}"`,
      "content-range": `bytes ${start}-${end - 1}/${bytes.length}`,
    });
    response.end(bytes.subarray(start, end));
  }
}

/** Answers as S3 does, quoting what it should not. */
export function refuse(response: ServerResponse, status: number, code: string, more = ""): void {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>said of AKIDEXAMPLE and t0ken</Message>${more}<AWSAccessKeyId>AKIDEXAMPLE</AWSAccessKeyId></Error>`,
  );
}
