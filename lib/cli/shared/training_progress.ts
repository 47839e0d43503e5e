import { formatDuration } from "../../base/duration.js";
import type { StepResult } from "../../training/fit.js";

/** How far a training is, as a progress display needs it. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Steps in all; undefined: no end. */
  readonly steps: number | undefined;
  /** Nats per valid token, smoothed. */
  readonly loss: number;
  /** Of the last step. */
  readonly learningRate: number;
  /** Smoothed. */
  readonly tokensPerSecond: number;
  /** Until the last step or the end of the time; undefined: no end. */
  readonly secondsLeft: number | undefined;
  /** NLL of the last validation, nats per token; undefined: none yet. */
  readonly validation: number | undefined;
  /** The smoothed losses so far, few of them and evenly spread over the steps. */
  readonly losses: readonly number[];
}

/** One line of text with the progress, for logs. */
export function renderLine(progress: Progress): string {
  const { step, steps, loss, learningRate, tokensPerSecond, validation, secondsLeft } = progress;
  const parts = [
    `step ${step}${steps === undefined ? "" : `/${steps}`}`,
    `loss ${loss.toFixed(4)}`,
    ...(validation === undefined ? [] : [`validation ${validation.toFixed(4)}`]),
    `lr ${learningRate.toExponential(1)}`,
    `${formatCount(tokensPerSecond)} tokens/s`,
    ...(secondsLeft === undefined ? [] : [`${formatDuration(secondsLeft)} left`]),
  ];
  return parts.join("  ");
}

const BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588";
const ASCII_LEVELS = "_.-=*#";
/** Characters of a sparkline: fewer say nothing. */
const SPARKS = { least: 5, most: 16 };

/** Numbers as a line of characters, the lowest to the highest; several that share one as their mean. */
export function sparkline(values: readonly number[], width: number, unicode: boolean): string {
  const levels = unicode ? BLOCKS : ASCII_LEVELS;
  const count = Math.min(width, values.length);
  const means = Array.from({ length: count }, (_, i) => {
    const some = values.slice(
      Math.floor((i * values.length) / count),
      Math.floor(((i + 1) * values.length) / count),
    );
    return some.reduce((sum, value) => sum + value, 0) / some.length;
  });
  const finite = means.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  return means
    .map((mean) => {
      if (!Number.isFinite(mean)) return " ";
      const share = high > low ? (mean - low) / (high - low) : 0;
      return levels[Math.min(levels.length - 1, Math.floor(share * levels.length))];
    })
    .join("");
}

/**
 * The line with a bar before it and a sparkline of the loss after it, at most `width` characters; without an end no bar, and without
 * room for them neither.
 */
export function renderBar(progress: Progress, width: number, unicode = true): string {
  const line = renderLine(progress);
  const free = width - line.length;
  const room = Math.min(30, free - 3);
  const barred = progress.steps !== undefined && room >= 5;
  const left = free - (barred ? room + 3 : 0) - 2;
  const sparks = left < SPARKS.least ? "" : sparkline(progress.losses, Math.min(left, SPARKS.most), unicode);
  const end = sparks.length < SPARKS.least ? "" : `  ${sparks}`;
  if (!barred || progress.steps === undefined) return (line + end).slice(0, Math.max(0, width));
  const filled = Math.floor(room * Math.min(1, progress.step / progress.steps));
  return `[${"#".repeat(filled)}${"-".repeat(room - filled)}] ${line}${end}`;
}

/** Whether the locale's characters are those of Unicode, as environment variables say. */
export function isUnicode(env: Readonly<Record<string, string | undefined>>): boolean {
  return /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || "");
}

/** Losses that are kept for the sparkline at most. */
const KEPT_LOSSES = 128;

/** 1234 -> "1.2k", 1234567 -> "1.2M". */
export function formatCount(count: number): string {
  if (count >= 999_950) return `${(count / 1e6).toFixed(1)}M`;
  return count >= 1000 ? `${(count / 1000).toFixed(1)}k` : count.toFixed(0);
}

/** Where a progress display is written; `process.stderr` for example. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** How much of the past smoothed numbers keep with each step. */
const MEMORY = 0.9;
/** Milliseconds between updates of a bar, and between plain lines. */
const BAR_INTERVAL = 100;
const LINE_INTERVAL = 5000;

/** Shows progress: a bar in place on a terminal, else a plain line every few seconds and for each validation. */
export class ProgressDisplay {
  readonly #stream: ProgressStream;
  readonly #steps: number | undefined;
  readonly #now: () => number;
  readonly #deadline: number;
  readonly #unicode: boolean;
  /** Every `#stride`-th smoothed loss. */
  #losses: number[] = [];
  #stride = 1;
  #progress: Progress | undefined;
  #updates = 0;
  #secondsPerStep = 0;
  #shownAt = Number.NEGATIVE_INFINITY;
  #shownStep = 0;
  /** Whether the cursor is on the line of the bar. */
  #drawn = false;

  /**
   * @param options.seconds from now, after which the training ends in any case
   * @param options.now milliseconds of a steady clock
   * @param options.unicode whether blocks may be drawn; default as the locale has it
   */
  constructor(
    stream: ProgressStream,
    steps: number | undefined,
    options: {
      readonly seconds?: number | undefined;
      readonly now?: () => number;
      readonly unicode?: boolean;
    } = {},
  ) {
    const { seconds = Number.POSITIVE_INFINITY, now = () => performance.now() } = options;
    this.#unicode = options.unicode ?? isUnicode(process.env);
    this.#stream = stream;
    this.#steps = steps;
    this.#now = now;
    this.#deadline = now() + 1000 * seconds;
  }

  /** Takes in a step; shows it if it is time to. */
  update(result: StepResult): void {
    const before = this.#progress;
    const smooth = (past: number | undefined, value: number) =>
      past === undefined ? value : MEMORY * past + (1 - MEMORY) * value;
    // The first step also opens and reads the data: it says nothing about the speed of the others.
    const measured = this.#updates++ > 1 ? before : undefined;
    this.#secondsPerStep = smooth(measured && this.#secondsPerStep, result.seconds);
    const left = this.#steps === undefined ? undefined : this.#steps - result.step;
    const loss = smooth(before?.loss, result.loss);
    this.#keep(loss);
    this.#progress = {
      step: result.step,
      steps: this.#steps,
      loss,
      losses: this.#losses,
      learningRate: result.learningRate,
      tokensPerSecond: smooth(measured?.tokensPerSecond, result.tokensPerSecond),
      secondsLeft: this.#secondsLeft(left),
      validation: result.validation?.nll ?? before?.validation,
    };
    const wait = this.#stream.isTTY === true ? BAR_INTERVAL : LINE_INTERVAL;
    const telling = result.validation !== undefined || left === 0;
    if (telling || this.#now() - this.#shownAt >= wait) this.#show(this.#progress);
  }

  /** Keeps a loss now and then, the more seldom the more there are. */
  #keep(loss: number): void {
    if ((this.#updates - 1) % this.#stride === 0) this.#losses.push(loss);
    if (this.#losses.length <= KEPT_LOSSES) return;
    this.#losses = this.#losses.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
  }

  /** Until the steps are done or the time is up. */
  #secondsLeft(steps: number | undefined): number | undefined {
    const left = Math.min(
      steps === undefined ? Number.POSITIVE_INFINITY : steps * this.#secondsPerStep,
      Math.max(0, (this.#deadline - this.#now()) / 1000),
    );
    return Number.isFinite(left) ? left : undefined;
  }

  /** Shows the last step if it was not shown, and leaves a terminal's cursor on a line of its own. */
  close(): void {
    if (this.#progress !== undefined && this.#shownStep !== this.#progress.step) this.#show(this.#progress);
    if (this.#drawn) this.#stream.write("\n");
    this.#drawn = false;
  }

  #show(progress: Progress): void {
    this.#shownAt = this.#now();
    this.#shownStep = progress.step;
    const { isTTY, columns = 80 } = this.#stream;
    // The last column stays free: writing there would wrap. "\x1b[K" clears what a longer line left.
    this.#drawn = isTTY === true;
    if (isTTY === true) this.#stream.write(`\r${renderBar(progress, columns - 1, this.#unicode)}\x1b[K`);
    else this.#stream.write(`${renderLine(progress)}\n`);
  }
}
