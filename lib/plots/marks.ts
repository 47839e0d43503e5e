/** Marks that several figures draw. */
import * as Plot from "@observablehq/plot";
import { encode } from "fast-png";

/** One number with its interval, at a place. */
export interface Estimate {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** How points look. */
export interface PointStyle {
  readonly colour: string;
  /** Pixels; default 2. */
  readonly radius?: number;
  /** 0..1; default 1. */
  readonly opacity?: number;
}

/**
 * Many points of one colour as one path, rounded to half a pixel, each place once: thousands of them stay small as text, and do not
 * darken where they lie on each other.
 *
 * @param xs numbers, [points]; points that are not finite are left out
 * @param ys numbers, [points]
 */
export function points(xs: ArrayLike<number>, ys: ArrayLike<number>, style: PointStyle): Plot.Markish {
  const { colour, radius = 2, opacity = 1 } = style;
  const places = Array.from({ length: xs.length }, (_, i) => i).filter(
    (i) => Number.isFinite(xs[i]) && Number.isFinite(ys[i]),
  );
  return Plot.dot(places, {
    x: (i: number) => xs[i] as number,
    y: (i: number) => ys[i] as number,
    render: (index, _scales, values, _dimensions, context) => {
      const at = (channel: "x" | "y", i: number) =>
        Math.round(2 * ((values[channel] as ArrayLike<number> | undefined)?.[i] as number)) / 2;
      const drawn = new Set(Array.from(index, (i) => `M${at("x", i)},${at("y", i)}h0`));
      const path = context.document.createElementNS("http://www.w3.org/2000/svg", "path");
      const attributes = {
        d: [...drawn].join(""),
        fill: "none",
        stroke: colour,
        "stroke-width": String(2 * radius),
        "stroke-linecap": "round",
        "stroke-opacity": String(opacity),
      };
      for (const [name, value] of Object.entries(attributes)) path.setAttribute(name, value);
      return path;
    },
  });
}

/** A picture of some colours, each of `size` x `size` pixels, as an address that holds it. */
export function imageAddress(
  columns: number,
  rows: number,
  size: number,
  colourAt: (column: number, row: number) => readonly [number, number, number, number],
): string {
  const width = columns * size;
  const data = new Uint8Array(4 * width * rows * size);
  for (let row = 0; row < rows; row++) {
    const top = row * size * width;
    for (let column = 0; column < columns; column++) {
      const colour = colourAt(column, row);
      for (let pixel = 0; pixel < size; pixel++) data.set(colour, 4 * (top + column * size + pixel));
    }
    for (let line = 1; line < size; line++) {
      data.copyWithin(4 * (top + line * width), 4 * top, 4 * (top + width));
    }
  }
  const png = encode({ width, height: rows * size, data, channels: 4 }, { zlib: { level: 9 } });
  return `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
}
