import { describe, expect, it } from "vitest";
import { formatDuration } from "../../../lib/base/duration.js";
import {
  formatCount,
  isUnicode,
  type Progress,
  ProgressDisplay,
  renderBar,
  renderLine,
  sparkline,
} from "../../../lib/cli/shared/training_progress.js";
import type { StepResult } from "../../../lib/training/fit.js";

const progress: Progress = {
  step: 250,
  steps: 1000,
  loss: 1.23456,
  learningRate: 3e-4,
  tokensPerSecond: 12_345,
  secondsLeft: 75,
  validation: undefined,
  losses: [],
};

const result = (step: number, more: Partial<StepResult> = {}): StepResult => ({
  step,
  loss: 2,
  crossEntropy: 1,
  accuracy: 0.5,
  gradientNorm: 1,
  tokens: 1000,
  learningRate: 3e-4,
  seconds: 0.5,
  tokensPerSecond: 2000,
  epoch: 0,
  ...more,
});

function stream(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, columns: 100, write: (text: string) => written.push(text) };
}

describe("progress", () => {
  it("is one line of step, loss, rate, speed and time left", () => {
    expect(renderLine(progress)).toBe("step 250/1000  loss 1.2346  lr 3.0e-4  12.3k tokens/s  1m15s left");
  });

  it("tells the last validation, and leaves out an end that there is none of", () => {
    const endless = { ...progress, steps: undefined, secondsLeft: undefined, validation: 0.98765 };
    expect(renderLine(endless)).toBe("step 250  loss 1.2346  validation 0.9877  lr 3.0e-4  12.3k tokens/s");
  });

  it("draws a bar that is as full as the run is done and fits the terminal", () => {
    expect(renderBar(progress, 98)).toMatch(/^\[#{7}-{23}\] step 250/);
    for (const width of [0, 20, 75, 80, 200])
      expect(renderBar(progress, width).length).toBeLessThanOrEqual(width);
    expect(renderBar({ ...progress, step: 2000 }, 120)).toMatch(/^\[#{30}\] /);
  });

  it("ends with the losses as a sparkline, where there is room beside the bar", () => {
    const falling = { ...progress, losses: [8, 7, 6, 5, 4, 3, 2, 1] };
    expect(renderBar(falling, 140)).toMatch(/left {2}\u2588\u2587\u2586\u2585\u2584\u2583\u2582\u2581$/);
    expect(renderBar(falling, 140, false)).toMatch(/left {2}#\S+_$/);
    for (let width = 0; width < 160; width++) {
      expect(renderBar(falling, width).length).toBeLessThanOrEqual(width);
      expect(renderBar({ ...falling, steps: undefined }, width).length).toBeLessThanOrEqual(width);
    }
    expect(renderBar(falling, 100)).not.toContain("\u2588");
  });

  it("draws means of many numbers, and what is not finite as a gap", () => {
    expect(sparkline([1, 1, 3, 3, 5, 5], 3, true)).toBe("\u2581\u2585\u2588");
    expect(sparkline([1, Number.NaN, 2], 3, true)).toBe("\u2581 \u2588");
    expect(sparkline([2, 2], 9, true)).toBe("\u2581\u2581");
    expect(sparkline([], 9, true)).toBe("");
  });

  it.each([
    [{ LANG: "en_US.UTF-8" }, true],
    [{ LANG: "en_US.UTF-8", LC_ALL: "C" }, false],
    [{ LC_CTYPE: "C.utf8" }, true],
    [{}, false],
  ])("with the locale %j draws blocks: %s", (env, blocks) => expect(isUnicode(env)).toBe(blocks));

  it("shows losses of all steps, however many they are", () => {
    const terminal = { ...stream(true), columns: 160 };
    const display = new ProgressDisplay(terminal, 5000, { now: () => 0, unicode: true });
    for (let step = 1; step <= 5000; step++) display.update(result(step, { loss: 10_000 - step }));
    display.close();
    expect(terminal.written.at(-2)).toMatch(/\u2588[\u2581-\u2588]{14}\u2581.\[K$/);
  });

  it.each([
    [0.4, "0s"],
    [59.4, "59s"],
    [59.9, "1m00s"],
    [3599.9, "1h00m"],
    [3660, "1h01m"],
    [90_000, "25h00m"],
  ])("writes %d seconds as %s", (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [999, "999"],
    [1500, "1.5k"],
    [999_960, "1.0M"],
    [2_500_000, "2.5M"],
  ])("writes a count of %d as %s", (count, text) => expect(formatCount(count)).toBe(text));

  it("redraws one line on a terminal and ends it", () => {
    const terminal = stream(true);
    let time = 0;
    const display = new ProgressDisplay(terminal, 3, { now: () => time });
    for (const step of [1, 2, 3]) {
      display.update(result(step));
      time += 1000;
    }
    display.close();
    expect(terminal.written).toHaveLength(4);
    expect(terminal.written.slice(0, 3).every((text) => text.startsWith("\r") && !text.includes("\n"))).toBe(
      true,
    );
    expect(terminal.written[3]).toBe("\n");
  });

  it("writes plain lines every five seconds, at validations and at the end elsewhere", () => {
    const file = stream(false);
    let time = 0;
    const display = new ProgressDisplay(file, 20, { now: () => time });
    for (let step = 1; step <= 20; step++) {
      const validation = {
        nll: 1.5,
        bitsPerToken: 2,
        perplexity: 4,
        crossEntropy: 1,
        accuracy: 0.5,
        cells: 1,
        tokens: 1,
      };
      display.update(result(step, step === 4 ? { validation } : {}));
      time += 1000;
    }
    display.close();
    expect(file.written.map((line) => Number(/^step (\d+)/.exec(line)?.[1]))).toEqual([1, 4, 9, 14, 19, 20]);
    expect(file.written[0]).toBe("step 1/20  loss 2.0000  lr 3.0e-4  2.0k tokens/s  10s left\n");
    expect(file.written[2]).toContain("validation 1.5000");
  });

  it("does not take the first step, which opens the data, for the speed of all", () => {
    const file = stream(false);
    const display = new ProgressDisplay(file, 100, { now: () => 0 });
    display.update(result(1, { seconds: 60, tokensPerSecond: 10 }));
    display.update(result(2));
    display.close();
    expect(file.written.at(-1)).toBe("step 2/100  loss 2.0000  lr 3.0e-4  2.0k tokens/s  49s left\n");
  });

  it("tells the time that is left before the deadline where the steps would take longer", () => {
    const file = stream(false);
    let time = 0;
    const display = new ProgressDisplay(file, 100, { seconds: 30, now: () => time });
    time = 10_000;
    display.update(result(1, { seconds: 10 }));
    expect(file.written.at(-1)).toContain("20s left");
  });
});
