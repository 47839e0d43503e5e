import { type ProgressWatch, Transient } from "../http_request.js";

/** The text of an answer. Throws `Transient` where there is more than so many bytes, and what the connection does. */
export async function readText(
  response: Response,
  mostBytes: number,
  clock?: ProgressWatch,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (response.body !== null) {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      clock?.receive(chunk.length);
      bytes += chunk.length;
      if (bytes > mostBytes) throw new Transient(`the answer has more than ${mostBytes} bytes`);
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}
