import { ByteWriter, UNDEFINED_ADDRESS } from "./format.js";

/** Children of a full node: 2 K, where K = 32 is what readers assume with a version 0 superblock. */
const NODE_CHILDREN = 64;

/** A chunk that has been written; chunks are numbered along the first dimension. */
export interface ChunkPlace {
  readonly address: number;
  readonly bytes: number;
}

interface TreeNode {
  readonly address: number;
  /** Number of the first chunk below the node. */
  readonly first: number;
}

/**
 * Writes the version 1 B-tree that finds chunks by position (section III.A.1) and returns its root's address.
 * `chunk` is the shape of a chunk in elements; only the first dimension is divided. `write` appends a block
 * to the file at the address `nextAddress` returned before it.
 */
export async function writeChunkTree(
  chunks: readonly ChunkPlace[],
  chunk: readonly number[],
  nextAddress: () => number,
  write: (block: Buffer) => Promise<void>,
): Promise<number> {
  const chunkRows = chunk[0] ?? 1;
  const keyBytes = 8 + 8 * (chunk.length + 1);
  const nodeBytes = 24 + NODE_CHILDREN * 8 + (NODE_CHILDREN + 1) * keyBytes;
  const key = (number: number): Buffer => {
    const writer = new ByteWriter()
      .u32(chunks[number]?.bytes ?? 0)
      .u32(0)
      .u64(number * chunkRows);
    for (let dimension = 1; dimension <= chunk.length; dimension++) writer.u64(0);
    return writer.done();
  };

  let level = 0;
  let children: TreeNode[] = chunks.map((place, first) => ({ address: place.address, first }));
  for (;;) {
    const nodes: TreeNode[] = [];
    const start = nextAddress();
    const nodeCount = Math.ceil(children.length / NODE_CHILDREN);
    for (let node = 0; node < nodeCount; node++) {
      const members = children.slice(node * NODE_CHILDREN, (node + 1) * NODE_CHILDREN);
      const after = children[(node + 1) * NODE_CHILDREN]?.first ?? chunks.length;
      const writer = new ByteWriter().bytes(Buffer.from("TREE")).u8(1, level).u16(members.length);
      writer.u64(node === 0 ? UNDEFINED_ADDRESS : start + (node - 1) * nodeBytes);
      writer.u64(node === nodeCount - 1 ? UNDEFINED_ADDRESS : start + (node + 1) * nodeBytes);
      for (const member of members) writer.bytes(key(member.first)).u64(member.address);
      const block = Buffer.alloc(nodeBytes);
      block.set(writer.bytes(key(after)).done());
      await write(block);
      nodes.push({ address: start + node * nodeBytes, first: members[0]?.first ?? 0 });
    }
    if (nodes.length <= 1) return start;
    children = nodes;
    level++;
  }
}
