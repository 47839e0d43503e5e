import { join } from "node:path";
import { writeFileAtomic } from "../../base/publish.js";
import { isTurnOver, takeTurn } from "../../base/turns.js";
import { type ColumnValues, encodeColumn } from "../parquet/encode.js";
import { encodeFooter, type WrittenGroup, type WrittenLeaf } from "../parquet/footer_write.js";
import { MAGIC, Physical } from "../parquet/format.js";
import { textValues } from "../parquet/values.js";
import type { Gene } from "../sources/cells.js";
import { FIRST_TOKEN } from "./layout.js";

/** Gene tokens of columns 0, 1, 2, ...: the numbers after the special tokens. */
export function geneTokens(geneCount: number): Int32Array {
  return Int32Array.from({ length: geneCount }, (_, column) => column + FIRST_TOKEN);
}

/** Writes a table of genes, gene_metadata.parquet and vocab.json in a folder, that names the tokens of its shards. */
export async function writeGeneTable(
  folder: string,
  genes: readonly Gene[],
  tokens: Int32Array,
): Promise<void> {
  const path = join(folder, "gene_metadata.parquet");
  const columns: [WrittenLeaf, () => ColumnValues][] = [
    [
      { path: ["gene_symbol"], physical: Physical.byteArray, list: false },
      () => textValues(genes.map(({ aliases }) => aliases[0] ?? null)),
    ],
    [
      { path: ["ensembl_id"], physical: Physical.byteArray, list: false },
      () => textValues(genes.map(({ id }) => id)),
    ],
    [{ path: ["token_id"], physical: Physical.int64, list: false }, () => flatTokens(tokens)],
  ];
  const pieces: Uint8Array[] = [MAGIC];
  let offset = MAGIC.length;
  const written: WrittenGroup["columns"][number][] = [];
  for (const [, valuesOf] of columns) {
    await takeTurn();
    const { bytes, ...rest } = await encodeColumn(valuesOf());
    written.push({ ...rest, bytes: bytes.length, offset });
    pieces.push(bytes);
    offset += bytes.length;
  }
  const leaves = columns.map(([leaf]) => leaf);
  const groups = genes.length === 0 ? [] : [{ rows: genes.length, columns: written }];
  pieces.push(encodeFooter(leaves, genes.length, groups));
  await writeFileAtomic(path, Buffer.concat(pieces));
  // Without a prototype any name is a key.
  const vocabulary: Record<string, number | undefined> = Object.create(null);
  Object.assign(vocabulary, { "<pad>": 0, "<cls>": 1, "<eoc>": 2 });
  await takeTurn();
  for (const [i, { id }] of genes.entries()) {
    if (isTurnOver()) await takeTurn();
    vocabulary[id] = tokens[i];
  }
  await takeTurn();
  await writeFileAtomic(join(folder, "vocab.json"), `${JSON.stringify(vocabulary)}\n`);
}

function flatTokens(tokens: Int32Array): ColumnValues {
  const plain = BigInt64Array.from(tokens, BigInt);
  const present = new Uint8Array(tokens.length).fill(1);
  return {
    physical: Physical.int64,
    dictionary: undefined,
    plain: new Uint8Array(plain.buffer),
    lists: undefined,
    present,
    maxDefinition: 1,
  };
}
