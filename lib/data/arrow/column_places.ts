import type { DataType } from "apache-arrow";
import { BufferRegion, FieldNode, type RecordBatch } from "apache-arrow/ipc/metadata/message";
import { VectorLoader } from "apache-arrow/visitor/vectorloader";

/** Where a column is in the lists of nodes and buffers of a record batch, which hold those of all columns depth first. */
export interface ColumnPlace {
  readonly node: number;
  readonly buffer: number;
  /** One more than its last buffer. */
  readonly end: number;
}

/**
 * Places of columns of these types (undefined: a dictionary that no column has). Throws where the batch has fewer nodes or
 * buffers than its columns need.
 */
export function columnPlaces(
  types: readonly (DataType | undefined)[],
  batch: RecordBatch,
  version: number,
): ColumnPlace[] {
  const counter = new Counter(batch, version);
  return types.map((type) => {
    const { nodesSeen: node, buffersSeen: buffer } = counter;
    if (type !== undefined) counter.visit(type);
    return { node, buffer, end: counter.buffersSeen };
  });
}

/** apache-arrow's loader of columns, which knows the buffers of every type: here it loads nothing, and counts what it asks for. */
class Counter extends VectorLoader {
  nodesSeen = 0;
  buffersSeen = 0;
  readonly #batch: RecordBatch;

  constructor(batch: RecordBatch, version: number) {
    super(new Uint8Array(0), [], [], new Map(), version, batch.variadicBufferCounts);
    this.#batch = batch;
  }

  protected override nextFieldNode(): FieldNode {
    if (++this.nodesSeen > this.#batch.nodes.length) throw new Error("a batch has too few columns");
    return new FieldNode(0, 0);
  }

  protected override nextBufferRange(): BufferRegion {
    if (++this.buffersSeen > this.#batch.buffers.length) throw new Error("a batch has too few buffers");
    return new BufferRegion(0, 0);
  }
}
