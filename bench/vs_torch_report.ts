import type { Circumstances } from "./record.js";
import { median, rounded } from "./statistics.js";
import type { Comparison } from "./vs_torch_cases.js";

/** Times of one comparison, pair by pair: `ours[i]` and `peers[i]` were measured one after the other. */
export interface Measured {
  readonly comparison: Comparison;
  readonly ours: readonly number[];
  readonly peers: readonly number[];
  /** Runs of the network a cell, the same for both; null where that is no matter of course. */
  readonly evaluations: number | null;
}

/** One comparison, as `--json` prints it; seconds are medians. */
export interface ComparisonRow {
  readonly id: string;
  readonly what: string;
  readonly preset: string;
  readonly batch: number;
  readonly length: number;
  readonly dtype: string;
  readonly avx2: boolean;
  readonly evaluations: number | null;
  readonly pairs: number;
  readonly seconds: number;
  readonly peerSeconds: number;
  /** Peer's time over ours, pair by pair: median, least and most. Above 1, we are faster. */
  readonly ratio: number;
  readonly ratioMin: number;
  readonly ratioMax: number;
}

/** The figures of a comparison. */
export function comparisonRow({ comparison, ours, peers, evaluations }: Measured): ComparisonRow {
  const ratios = ours.map((seconds, pair) => (peers[pair] ?? Number.NaN) / seconds);
  const { id, what, preset, batch, length, dtype, avx2 } = comparison;
  return {
    id,
    what,
    preset,
    batch,
    length,
    dtype,
    avx2,
    evaluations,
    pairs: ours.length,
    seconds: rounded(median(ours), 4),
    peerSeconds: rounded(median(peers), 4),
    ratio: rounded(median(ratios), 3),
    ratioMin: rounded(Math.min(...ratios), 3),
    ratioMax: rounded(Math.max(...ratios), 3),
  };
}

/** One line for people. */
export function rowInWords(row: ComparisonRow, peer: string): string {
  return (
    `${caseInWords(row)}: ${row.ratio.toFixed(2)} times as fast as ${peer} (${row.ratioMin.toFixed(2)} to ` +
    `${row.ratioMax.toFixed(2)} in ${row.pairs} pairs; ${row.seconds} s against ${row.peerSeconds} s)`
  );
}

/** The section of docs/performance.md. */
export function reportSection(rows: readonly ComparisonRow[], peer: string, about: Circumstances): string {
  const lines = [
    `Measured on ${about.date} on ${about.cpu}, ${about.device}, against ${peer} on as many threads, with`,
    "",
    "```sh",
    about.command,
    "```",
    "",
    "Seconds are medians; the ratio is the median over pairs of runs, one right after the other, with the least and the most.",
    "",
    "| | ddsc | PyTorch | PyTorch / ddsc | pairs |",
    "|---|---|---|---|---|",
    ...rows.map(
      (row) =>
        `| ${caseInWords(row)} | ${row.seconds} | ${row.peerSeconds} | ` +
        `${row.ratio.toFixed(2)} (${row.ratioMin.toFixed(2)} to ${row.ratioMax.toFixed(2)}) | ${row.pairs} |`,
    ),
  ];
  return lines.join("\n");
}

function caseInWords({ what, preset, batch, length, dtype, avx2, evaluations }: ComparisonRow): string {
  const runs = evaluations === null ? "" : `, ${evaluations} runs of the network a cell`;
  return `${what}, ${preset} ${batch} x ${length}, ${dtype}${avx2 ? ", AVX2 only" : ""}${runs}`;
}
