/** Events as TensorBoard reads them: tensorboard/compat/proto/event.proto, summary.proto, plugins/hparams/plugin_data.proto. */
import { wrongType } from "../base/errors.js";
import { bytes, double, type Field, float, message, whole } from "./protobuf.js";

/** A setting of a training. */
export type Hyperparameter = number | string | boolean;

const FILE_VERSION = "brain.Event:2";
const HPARAMS = "hparams";
const SESSION_START = 1;
const FLOAT_TYPE = 1;

/** What comes first in a file. */
export function versionEvent(seconds: number): Uint8Array {
  return message(double(1, seconds), bytes(3, FILE_VERSION));
}

/** Says that what earlier files have of this step and those after it counts no more. */
export function startEvent(seconds: number, step: number): Uint8Array {
  return message(double(1, seconds), whole(2, step), bytes(7, message(whole(1, SESSION_START))));
}

/** Numbers of a step by their tags. */
export function scalarEvent(seconds: number, step: number, scalars: ReadonlyMap<string, number>): Uint8Array {
  const values = [...scalars].map(([tag, value]) => message(bytes(1, tag), float(2, value)));
  return summaryEvent(seconds, step, values);
}

/** A picture. Throws `ARGUMENT_TYPE` for what is no PNG. */
export function imageEvent(seconds: number, step: number, tag: string, png: Uint8Array): Uint8Array {
  const { width, height } = sizeOf(png);
  const colours = 4;
  const image = message(whole(1, height), whole(2, width), whole(3, colours), bytes(4, png));
  return summaryEvent(seconds, step, [message(bytes(1, tag), bytes(4, image))]);
}

/** Which settings and final numbers there are, and the settings of this training: what the tab HPARAMS compares. */
export function hyperparameterEvents(
  seconds: number,
  name: string,
  settings: ReadonlyMap<string, Hyperparameter>,
  metrics: readonly string[],
): Uint8Array[] {
  const infos = [...settings].map(([setting, value]) =>
    bytes(4, message(bytes(1, setting), whole(4, typeOf(value)))),
  );
  const wanted = metrics.map((tag) => bytes(5, message(bytes(1, message(bytes(2, tag))))));
  const experiment = message(double(3, seconds), ...infos, ...wanted);
  const given = [...settings].map(([setting, value]) =>
    bytes(1, message(bytes(1, setting), bytes(2, settingOf(value)))),
  );
  const session = message(...given, bytes(4, name), double(5, seconds));
  return [
    pluginEvent(seconds, "_hparams_/experiment", bytes(2, experiment)),
    pluginEvent(seconds, "_hparams_/session_start_info", bytes(3, session)),
  ];
}

/** How a training ended, for the tab HPARAMS. */
export function endEvent(seconds: number, succeeded: boolean): Uint8Array {
  const info = message(whole(1, succeeded ? 1 : 2), double(2, seconds));
  return pluginEvent(seconds, "_hparams_/session_end_info", bytes(4, info));
}

function pluginEvent(seconds: number, tag: string, content: Field): Uint8Array {
  const data = message(bytes(1, HPARAMS), bytes(2, content));
  const shape = message(bytes(2, message(whole(1, 1))));
  const tensor = message(whole(1, FLOAT_TYPE), bytes(2, shape), float(5, 0));
  return summaryEvent(seconds, 0, [
    message(bytes(1, tag), bytes(8, tensor), bytes(9, message(bytes(1, data)))),
  ]);
}

function summaryEvent(seconds: number, step: number, values: readonly Uint8Array[]): Uint8Array {
  const summary = message(...values.map((value) => bytes(1, value)));
  return message(double(1, seconds), whole(2, step), bytes(5, summary));
}

/** A google.protobuf.Value. */
function settingOf(value: Hyperparameter): Uint8Array {
  if (typeof value === "number") return message(double(2, value));
  return typeof value === "string" ? message(bytes(3, value)) : message(whole(4, value ? 1 : 0));
}

/** A DataType of the plugin. */
function typeOf(value: Hyperparameter): number {
  if (typeof value === "string") return 1;
  return typeof value === "boolean" ? 2 : 3;
}

const PNG = Buffer.from("89504e470d0a1a0a", "hex");

function sizeOf(png: Uint8Array): { width: number; height: number } {
  const isPng = png instanceof Uint8Array && png.length >= 24 && PNG.equals(png.subarray(0, PNG.length));
  if (!isPng) throw wrongType("png", typeof png, "the bytes of a PNG");
  const head = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
}
