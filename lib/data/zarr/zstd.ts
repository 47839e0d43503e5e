const MAGIC = 0xfd2f_b528;
const MAX_BLOCK_BYTES = 1 << 17;
const RLE_BLOCK = 1;

/**
 * How many bytes a Zstandard frame decompresses to: as its header says (`exact`), otherwise the most that its blocks can
 * hold (RFC 8878, section 3.1.1). Throws for bytes that are no frame.
 */
export function zstdBytes(bytes: Uint8Array): { readonly bytes: number; readonly exact: boolean } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("no Zstandard frame");
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  if (sizeFlag === 0 && singleSegment) return { bytes: view.getUint8(at), exact: true };
  if (sizeFlag === 1) return { bytes: view.getUint16(at, true) + 256, exact: true };
  if (sizeFlag === 2) return { bytes: view.getUint32(at, true), exact: true };
  if (sizeFlag === 3) return { bytes: Number(view.getBigUint64(at, true)), exact: true };
  return { bytes: mostBlockBytes(view, at), exact: false };
}

function mostBlockBytes(view: DataView, start: number): number {
  let most = 0;
  for (let at = start; ; ) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const size = header >> 3;
    most += MAX_BLOCK_BYTES;
    at += 3 + (((header >> 1) & 3) === RLE_BLOCK ? 1 : size);
    if ((header & 1) === 1) return most;
  }
}
