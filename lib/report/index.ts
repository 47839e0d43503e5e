export { type Report, type ReportFileOptions, reportFile } from "./report_file.js";
export type { WrittenReport } from "./write_report.js";
