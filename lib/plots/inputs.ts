import type { MetricsLine } from "../training/metrics_lines.js";

/** How a figure is drawn. */
export interface PlotOptions {
  /** Width in pixels, 280 to 2,000; default 640. The height follows from what is drawn. */
  readonly width?: number;
  /** Whether the title stands in the picture, too; default true. `false` where the page around it says it. */
  readonly heading?: boolean;
}

/** A run's metrics, as `readMetrics` gives them. */
export interface RunMetrics {
  /** What the run is called in the figure. */
  readonly name: string;
  /** In the order in which they were written. */
  readonly lines: readonly MetricsLine[];
}

/** How well one gene is predicted. */
export interface GeneNats {
  readonly gene: string;
  /** Nats a hidden count of the gene, of the model. */
  readonly model: number;
  /** The same of the gene's marginal. */
  readonly baseline: number;
  /** Hidden counts of the gene above 0. */
  readonly expressed: number;
}

/** One number a cell. */
export interface TotalsInput {
  /** Total counts of real cells, [real cells]. */
  readonly real: Float64Array;
  /** Total counts of generated cells, [generated cells]. */
  readonly generated: Float64Array;
}

/** Share of cells without a count, by gene. */
export interface ZeroFractionsInput {
  /** 0..1, [genes]. */
  readonly real: Float64Array;
  /** 0..1, [genes]. */
  readonly generated: Float64Array;
  /** Names of the genes, [genes]; default "gene 1" and so on. */
  readonly genes?: readonly string[] | undefined;
}

/** Means and variances of counts, by gene. */
export interface GeneMoments {
  /** [genes] */
  readonly means: Float64Array;
  /** [genes] */
  readonly variances: Float64Array;
}

/** Means and variances of the same genes among real and generated cells. */
export interface MeanVarianceInput {
  readonly real: GeneMoments;
  readonly generated: GeneMoments;
}

/** Correlations of the same genes among real and generated cells; NaN where a gene does not vary. */
export interface GeneCorrelationsInput {
  /** Names of the genes, [genes]; at most 1,000. */
  readonly genes: readonly string[];
  /** -1..1, [genes x genes], row-major. */
  readonly real: Float64Array;
  /** -1..1, [genes x genes], row-major. */
  readonly generated: Float64Array;
}

/** Cells, real and generated, in the plane. */
export interface CellMapInput {
  /** Coordinates, [cells x 2], row-major. */
  readonly points: Float64Array;
  /** 1 for generated cells, 0 for real ones, [cells]. */
  readonly isGenerated: Uint8Array;
  /** Such as the cells' types, [cells]; undefined: there are none. */
  readonly labels?: readonly string[] | undefined;
  /** What made the coordinates, such as "UMAP". */
  readonly method: string;
}

/** A cell whose genes are filled in step by step. */
export interface FillingInput {
  /** Names of the genes, [genes]. */
  readonly genes: readonly string[];
  /** Steps in all. */
  readonly steps: number;
  /** Step, 1..steps, in which each gene was revealed; 0: known from the start, [genes]. */
  readonly revealedAt: Int32Array;
  /** Counts or ranks at the end, [genes]. */
  readonly values: Int32Array;
  /** The cell's own counts or ranks, where there are any, [genes]. */
  readonly truth?: Int32Array | undefined;
  readonly kind: "counts" | "ranks";
  /** Default: says what is filled in. */
  readonly title?: string | undefined;
}

/** The moment of a filling-in that is drawn. */
export interface FillingOptions extends PlotOptions {
  /** 0 (what was known) to `steps`; default `steps` (all genes). */
  readonly step?: number;
}
