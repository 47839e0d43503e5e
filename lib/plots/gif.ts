import { createRequire } from "node:module";
import { checkKind, checkOptions } from "../base/arguments.js";
import { checkNumber, DdscError } from "../base/errors.js";
import type { Figure } from "./figure.js";
import { nothingToDraw } from "./numbers.js";
import { checkFigure, type PngOptions, renderPixels } from "./png.js";

/** How figures become an animation. */
export interface GifOptions extends PngOptions {
  /** How long a frame stays, milliseconds, 20 to 60,000; default 150. */
  readonly delay?: number;
  /** How long the last frame stays, milliseconds, 20 to 60,000; default 2,000. */
  readonly lastDelay?: number;
}

const DELAYS = { min: 20, max: 60_000 } as const;

/**
 * Draws figures of one size, such as the moments of a filling-in, as the bytes of a GIF file that repeats for ever. Throws `PLOT_EMPTY` without
 * frames, `ARGUMENT_*`.
 *
 * @param options the default width is that of the first figure
 */
export async function renderGif(frames: readonly Figure[], options: GifOptions = {}): Promise<Uint8Array> {
  checkKind("frames", frames, "list");
  checkOptions(options);
  for (const [i, frame] of frames.entries()) checkFigure(`frames[${i}]`, frame);
  const { delay = 150, lastDelay = 2000, ...how } = options;
  checkNumber("delay", delay, DELAYS);
  checkNumber("lastDelay", lastDelay, DELAYS);
  const [first] = frames;
  if (first === undefined) throw nothingToDraw("there is no frame", "give at least one figure");
  const width = how.width ?? Number(/ width="(\d+)/.exec(first.svg)?.[1] ?? 640);
  const { applyPalette, GIFEncoder, quantize } = gifenc();
  const encoder = GIFEncoder();
  let height: number | undefined;
  for (const [i, frame] of frames.entries()) {
    const pixels = await renderPixels(frame, { ...how, width });
    height ??= pixels.height;
    if (pixels.height !== height) {
      const problem = `frame ${i} is ${pixels.height} pixels high, others ${height}; give figures of one size`;
      throw new DdscError("ARGUMENT_LENGTH", problem, { argument: "frames" });
    }
    const palette = quantize(pixels.rgba, 256);
    const index = applyPalette(pixels.rgba, palette);
    encoder.writeFrame(index, pixels.width, pixels.height, {
      palette,
      delay: i === frames.length - 1 ? lastDelay : delay,
    });
  }
  encoder.finish();
  return encoder.bytes();
}

/** What of gifenc is used; it has no types. */
interface Gifenc {
  quantize(rgba: Uint8Array, colours: number): readonly (readonly number[])[];
  applyPalette(rgba: Uint8Array, palette: readonly (readonly number[])[]): Uint8Array;
  GIFEncoder(): {
    writeFrame(
      index: Uint8Array,
      width: number,
      height: number,
      options: { palette: readonly (readonly number[])[]; delay: number },
    ): void;
    finish(): void;
    bytes(): Uint8Array;
  };
}

/** The library, a CommonJS module. */
function gifenc(): Gifenc {
  return createRequire(import.meta.url)("gifenc") as Gifenc;
}
