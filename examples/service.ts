// A web service that fills in genes of a cell: npx tsx service.ts runs/first 8080
//   curl --data '{"counts": {"Sox2": 3, "Actb": 41}, "fill": ["Pax6"]}' localhost:8080
//   [{"gene":"Pax6","rank":27,"expectedRank":24.1,"probability":0.08}]
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { DdscError, Denoiser, inpaint, MemorySource, maskGenes, tokenizeRows } from "ddsc";

const [run = "runs/first", port = "8080"] = process.argv.slice(2);
const model = await Denoiser.load(run);

/** The native work runs off the event loop; requests wait for their turn on the model, and stop with their client. */
async function fillIn(body: unknown, signal: AbortSignal): Promise<unknown> {
  const { counts = {}, fill = [] } = (body ?? {}) as { counts?: Record<string, number>; fill?: string[] };
  const names = Object.keys(counts);
  if (names.length === 0 || !Array.isArray(fill))
    throw new DdscError("ARGUMENT_TYPE", 'send {"counts": {GENE: COUNT, ...}, "fill": [GENE, ...]}');
  using cell = new MemorySource({
    name: "request",
    ids: ["cell"],
    genes: names.map((id) => ({ id, aliases: [] })),
    offsets: Int32Array.of(0, names.length),
    geneColumns: Int32Array.from(names.keys()),
    counts: Float32Array.from(Object.values(counts)),
    metadata: {},
    notes: [],
  });
  const { batch } = await tokenizeRows(cell, model.tokenizer, Int32Array.of(0));
  if (batch.cells.length === 0) throw new DdscError("DATA_NO_CELLS", "no gene has a count; send counts");
  const { filled } = await inpaint(model, maskGenes(model, batch, fill), {
    sampler: { kind: "parallel", steps: 1 },
    temperature: 0,
    signal,
  });
  return Array.from(filled.gene, (gene, i) => ({
    gene: model.vocabulary.token(gene),
    rank: filled.rank[i],
    expectedRank: filled.expectedRank[i],
    probability: filled.probability[i],
  }));
}

const server = createServer(async (request, response) => {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  try {
    answer(200, await fillIn(await json(request), gone.signal));
  } catch (error) {
    const known = error instanceof DdscError || error instanceof SyntaxError;
    answer(known ? 400 : 500, { error: known ? error.message : "internal error" });
  }
});
server.listen(Number(port), () => console.log(`listening on ${JSON.stringify(server.address())}`));
process.once("SIGTERM", () => server.close(() => model[Symbol.dispose]()));
