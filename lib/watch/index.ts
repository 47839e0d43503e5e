export { type RunsPage, type WatchOptions, watchRuns } from "./watch_runs.js";
