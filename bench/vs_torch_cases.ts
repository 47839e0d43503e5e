import type { PresetName } from "../lib/model/config.js";
import type { DType } from "../lib/native/types.js";
import type { SubjectKind } from "./subjects.js";

/** One comparison with the peer. */
export interface Comparison {
  /** What `--only` chooses by: "train-bf16-tiny", "forward-fp32-tiny-avx2". */
  readonly id: string;
  readonly what: SubjectKind;
  readonly preset: PresetName;
  readonly batch: number;
  readonly length: number;
  readonly dtype: DType;
  /** Whether both are held to AVX2. */
  readonly avx2: boolean;
  /** Runs of each, in turn. */
  readonly pairs: number;
  /** Whether each runs once before it counts: not where a run is long. */
  readonly warmUp: boolean;
}

/** What to compare. */
export interface ComparisonChoice {
  /** Fewer and smaller: preset tiny with one cell, one pair of runs. */
  readonly quick: boolean;
  /** Comparisons whose id is one of these, or contains one that is no id; all of them where there are none. */
  readonly only: readonly string[];
  readonly pairs: number;
}

/** The comparisons, training steps first. */
export function comparisons({ quick, only, pairs }: ComparisonChoice): Comparison[] {
  const sizes = quick
    ? ([["tiny", 1]] as const)
    : ([
        ["tiny", 4],
        ["small", 2],
      ] as const);
  const shared = { length: 1024, pairs: quick ? 1 : pairs, warmUp: true };
  const all: Comparison[] = [];
  const add = (one: Omit<Comparison, "id">) => {
    const name = one.what === "train step" ? "train" : one.what;
    all.push({ id: [name, one.dtype, one.preset, ...(one.avx2 ? ["avx2"] : [])].join("-"), ...one });
  };
  const passes = ["train step", "forward"] as const;
  for (const dtype of ["fp32", "bf16"] as const)
    for (const [preset, batch] of sizes)
      for (const what of passes) add({ ...shared, what, preset, batch, dtype, avx2: false });
  for (const what of passes)
    add({ ...shared, what, preset: "tiny", batch: quick ? 1 : 4, dtype: "fp32", avx2: true });
  for (const dtype of ["fp32", "bf16"] as const) {
    add({
      what: "inpaint",
      preset: "tiny",
      batch: quick ? 4 : 64,
      length: 1024,
      dtype,
      avx2: false,
      pairs: quick ? 1 : Math.max(1, Math.floor(pairs / 3)),
      warmUp: quick,
    });
  }
  const names = new Set(all.map(({ id }) => id));
  const chosenBy = (part: string, id: string) => (names.has(part) ? id === part : id.includes(part));
  return all.filter(({ id }) => only.length === 0 || only.some((part) => chosenBy(part, id)));
}
