/**
 * What the server of `ddsc watch` tells its page, as server-sent events: the name of an event is a name of `WatchEvents`, its data the
 * JSON of the value. Each event stands for itself; after `reset` come all that there is.
 */
export interface WatchEvents {
  /** Forget everything: what follows is all that there is. */
  readonly reset: { readonly version: string };
  readonly run: RunInfo;
  readonly curve: CurveChange;
  readonly validations: ValidationChange;
  /** A run that is no longer there. */
  readonly gone: { readonly id: string };
  /** What a reader should know of the list of runs; empty: nothing. */
  readonly notice: { readonly text: string };
}

/** A name of an event. */
export type WatchEventName = keyof WatchEvents;

/** An event before it is sent. */
export type WatchEvent = {
  [Name in WatchEventName]: { readonly name: Name; readonly data: WatchEvents[Name] };
}[WatchEventName];

/**
 * What a run is doing. "stopped": in good order, before its end; "killed": its process is gone without a word; "training" also where a
 * process of another machine holds the run.
 */
export type RunState = "training" | "finished" | "stopped" | "failed" | "killed";

/** What there is to say of a run but for its curves. Unknown: null. Texts are short and do nothing to whoever shows them as text. */
export interface RunInfo {
  readonly id: string;
  /** The run's folder, as the user named it. */
  readonly name: string;
  readonly state: RunState;
  /** Why it ended, or what is going on, in words. */
  readonly stateText: string;
  readonly values: "counts" | "ranks" | null;
  readonly data: string | null;
  readonly cells: number | null;
  readonly genes: number | null;
  readonly device: string | null;
  readonly parameters: number | null;
  /** Steps done, by the metrics. */
  readonly step: number;
  /** Steps in all; null: no end, or not known. */
  readonly steps: number | null;
  /** Of a run that trains and has an end. */
  readonly secondsLeft: number | null;
  /** Mean of the last steps. */
  readonly tokensPerSecond: number | null;
  /** Mean of the last steps, nats per valid token or gene. */
  readonly loss: number | null;
  /** The last validation, nats per hidden gene or masked token. */
  readonly validation: { readonly step: number; readonly crossEntropy: number } | null;
  /** What validations are compared with, the same unit. */
  readonly baselines: readonly { readonly name: string; readonly crossEntropy: number }[];
  /** Bytes: planned of the device's memory, and held by the process when it last said so. */
  readonly memory: { readonly planned: number; readonly held: number } | null;
  /** The newest checkpoint, the best one's step, and when the newest was saved (ISO). */
  readonly checkpoint: {
    readonly step: number;
    readonly best: number | null;
    readonly saved: string;
  } | null;
  readonly notes: readonly string[];
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** Points of a run's curves from number `from` on, which replace those that were there; the others stay. */
export interface CurveChange {
  readonly id: string;
  readonly from: number;
  /** Steps that a point is the mean of, at most. */
  readonly width: number;
  /** Last step of each point. */
  readonly steps: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly tokensPerSecond: readonly (number | null)[];
  readonly learningRate: readonly (number | null)[];
  readonly gradientNorm: readonly (number | null)[];
}

/** Validations of a run from number `from` on, as `CurveChange`. */
export interface ValidationChange {
  readonly id: string;
  readonly from: number;
  readonly steps: readonly number[];
  readonly crossEntropy: readonly (number | null)[];
}
