/** Damage to binary files, for readers that must survive it. */

/** A whole number below the one given, the same each time for a seed. */
export type Random = (below: number) => number;

/** Numbers that break arithmetic where a format stores a size. */
const SIZES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Damages bytes: half of the time a single place, else pieces cut off, repeated, removed or overwritten. Some of it is near the end, where footers are. */
export function damaged(bytes: Buffer, random: Random): Buffer {
  let result: Buffer = Buffer.from(bytes);
  const gentle = random(2) === 0;
  const most = gentle ? 1 : 6;
  for (let times = 1 + random(most); times > 0 && result.length > 0; times--) {
    const near = Math.min(result.length, 1 << (4 + random(9)));
    const at = random(8) === 0 ? result.length - 1 - random(near) : random(result.length);
    const length = Math.min(1 + random(random(4) === 0 ? 200 : 8), result.length - at);
    switch (gentle ? 4 + random(3) : random(7)) {
      case 0:
        result = result.subarray(0, at);
        break;
      case 1:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
        break;
      case 3:
        result.fill(random(2) === 0 ? 0 : 255, at, at + length);
        break;
      case 4:
        if (at + 4 <= result.length) result.writeUInt32LE(SIZES[random(SIZES.length)] ?? 0, at);
        break;
      case 5:
        result[at] = (result[at] ?? 0) ^ (1 << random(8));
        break;
      default:
        result[at] = random(256);
    }
  }
  return Buffer.from(result);
}
