export { EventLog, type EventLogOptions } from "./event_log.js";
export type { Hyperparameter } from "./events.js";
