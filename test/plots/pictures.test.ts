import { decode } from "fast-png";
import { describe, expect, it } from "vitest";
import { fontFiles } from "../../lib/plots/fonts.js";
import { Figure, figures, renderGif, renderPixels, renderPng } from "../../lib/plots/index.js";
import { countEvaluation, inputs } from "./inputs.js";

const figure = figures.calibration(countEvaluation());

/** How many pixels are not of the most frequent colour. */
function drawnPixels(data: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < data.length; i += 4) {
    const colour = ((data[i] as number) << 16) | ((data[i + 1] as number) << 8) | (data[i + 2] as number);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return data.length / 4 - Math.max(...counts.values());
}

/** Frames of a GIF: how long each stays, hundredths of a second, block by block. */
function framesOf(gif: Uint8Array): { width: number; height: number; delays: number[] } {
  const view = new DataView(gif.buffer, gif.byteOffset, gif.byteLength);
  expect(Buffer.from(gif.subarray(0, 6)).toString()).toBe("GIF89a");
  const table = (flags: number) => (flags & 128 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  let at = 13 + table(view.getUint8(10));
  const delays: number[] = [];
  let delay = 0;
  const skip = () => {
    while (view.getUint8(at) > 0) at += view.getUint8(at) + 1;
    at++;
  };
  for (let kind = view.getUint8(at++); kind !== 0x3b; kind = view.getUint8(at++)) {
    if (kind === 0x21) {
      if (view.getUint8(at) === 0xf9) delay = view.getUint16(at + 3, true);
      at++;
      skip();
      continue;
    }
    expect(kind).toBe(0x2c);
    delays.push(delay);
    at += 9 + table(view.getUint8(at + 8)) + 1;
    skip();
  }
  expect(at).toBe(gif.length);
  return { width: view.getUint16(6, true), height: view.getUint16(8, true), delays };
}

describe("a PNG of a figure", () => {
  it("has the width that is asked for, and is not blank", async () => {
    const png = decode(await renderPng(figure, { width: 360 }));
    expect(png.width).toBe(360);
    expect(png.data.length).toBe(4 * png.width * png.height);
    expect(drawnPixels(png.data)).toBeGreaterThan(2000);
  });

  it("is twice as wide as the figure by default", async () => {
    expect(decode(await renderPng(figure)).width).toBe(1280);
  });

  it("has the ground of its theme", async () => {
    const ground = async (theme: "light" | "dark") => [
      ...decode(await renderPng(figure, { width: 100, theme })).data.subarray(0, 4),
    ];
    expect(await ground("light")).toEqual([255, 255, 255, 255]);
    expect(await ground("dark")).toEqual([0x15, 0x18, 0x1d, 255]);
  });

  it("shows letters, of the face that comes with the package", async () => {
    expect(fontFiles().length).toBe(2);
    const parts = { name: "text", title: "?", description: "?", table: { columns: [], rows: [] } };
    const svg = (text: string) =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><text x="5" y="25" font-family="system-ui, sans-serif">${text}</text></svg>`;
    const { rgba } = await renderPixels(new Figure({ ...parts, svg: svg("Xist, −0.5 × 10…") }), {
      width: 200,
    });
    expect(rgba.filter((value, i) => i % 4 === 3 && value > 128).length).toBeGreaterThan(100);
    const letter = async (text: string) =>
      (await renderPixels(new Figure({ ...parts, svg: svg(text) }), { width: 200 })).rgba;
    // Not one and the same box for what is missing.
    expect(await letter("−")).not.toEqual(await letter("…"));
    expect(await letter("×")).not.toEqual(await letter("…"));
    expect(await letter("é")).not.toEqual(await letter("ü"));
  });

  it("is the same for the same figure", async () => {
    expect(await renderPng(figure, { width: 200 })).toEqual(await renderPng(figure, { width: 200 }));
  });

  it("tells wrong arguments by name", async () => {
    await expect(renderPng({ ...figure } as never)).rejects.toThrow(/^ARGUMENT_TYPE.*figure/);
    await expect(renderPng(figure, { width: 8001 })).rejects.toThrow(/^ARGUMENT_RANGE.*width/);
    await expect(renderPng(figure, { theme: "css" as never })).rejects.toThrow(/^ARGUMENT_TYPE.*theme/);
  });
});

describe("a GIF of figures", () => {
  const { filling } = inputs();
  const frames = [0, 1, 2, 3].map((step) => figures.filling(filling, { step, width: 300 }));

  it("has as many frames as figures, which stay as long as was asked", async () => {
    const gif = framesOf(await renderGif(frames, { width: 200, delay: 80, lastDelay: 1500 }));
    expect(gif.delays).toEqual([8, 8, 8, 150]);
    expect(gif.width).toBe(200);
  });

  it("is as wide as the figures by default", async () => {
    expect(framesOf(await renderGif(frames.slice(0, 1))).width).toBe(300);
  });

  it("tells what cannot be an animation", async () => {
    await expect(renderGif([])).rejects.toThrow(/^PLOT_EMPTY/);
    await expect(renderGif([frames[0]!, figure])).rejects.toThrow(/^ARGUMENT_LENGTH/);
    await expect(renderGif(frames, { delay: 1 })).rejects.toThrow(/^ARGUMENT_RANGE.*delay/);
    await expect(renderGif([frames[0]!, {} as never])).rejects.toThrow(/^ARGUMENT_TYPE.*frames\[1\]/);
  });
});
