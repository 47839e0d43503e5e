import { DdscError } from "../base/errors.js";
import type { Condition } from "../conditions/condition.js";
import { SPECIAL_GENES } from "../tokenizer/ragged_batch.js";
import type { ModelDescription } from "./model_files.js";
import type { TensorSource } from "./weights.js";

/** What a model took over from weights, and what of it is new. */
export interface LoadedWeights {
  /** Names in the file that are no parameter of the model, or of a condition that it does not have. */
  readonly ignored: readonly string[];
  /** How many of the model's genes the weights know. */
  readonly knownGenes: number;
  /** Tokens of the model's genes that they do not know, which keep the values that they had. */
  readonly newGenes: readonly string[];
  /** Tokens of genes that the weights know and the model does not have. */
  readonly leftGenes: readonly string[];
  /** Names of the model's conditions that the weights do not know. */
  readonly newConditions: readonly string[];
  /** Names of conditions that the weights know and the model does not have. */
  readonly leftConditions: readonly string[];
  /** Labels that they do not know, of conditions that they know. */
  readonly newLabels: readonly { readonly condition: string; readonly label: string }[];
}

/** What is new where weights name no genes and conditions: nothing. */
export const NOTHING_NEW: Omit<LoadedWeights, "ignored" | "knownGenes"> = {
  newGenes: [],
  leftGenes: [],
  newConditions: [],
  leftConditions: [],
  newLabels: [],
};

/** How a model's parameters are those of a saved model of other genes or conditions. */
export interface ModelMatch {
  /** Where the values of a parameter are among the saved tensors; undefined for one that is new. */
  readonly sourceOf: (parameter: string) => TensorSource | undefined;
  /** The model's gene id by the saved model's. */
  readonly genes: ReadonlyMap<number, number>;
  /** The model's conditions: numbers that the saved model knows in its units. */
  readonly conditions: readonly Condition[];
  readonly report: Omit<LoadedWeights, "ignored">;
}

type Matched = Pick<ModelDescription, "config" | "tokenizer" | "conditions">;

const SIZE_FACTOR = "size_factor.weight";
/** Parameters that have a row a gene id. */
const GENE_TABLES: ReadonlySet<string> = new Set([
  "cond_embed.embedding",
  "factor.weight",
  "log_size",
  SIZE_FACTOR,
]);
const CONDITION = /^conditions\.(\d+)\.(.+)$/;

/**
 * Finds the parameters of a model in a saved one: rows of gene tables by gene (as `GeneVocabulary.match` finds the model's
 * genes in the saved vocabulary), those of a condition by its name and kind, labels by label. A number is the same condition only
 * on the same scale. Everything else is looked for under its own name.
 *
 * Throws `CHECKPOINT_VOCABULARY` where no gene is known. `from` is named in messages.
 */
export function matchModels(saved: Matched, own: Matched, from: string): ModelMatch {
  const genes = matchGenes(saved, own, from);
  const conditions = matchConditions(saved.conditions, own.conditions);
  return {
    sourceOf: (name) => {
      // A model without it says what one says whose factors are 0, as they start.
      if (name === SIZE_FACTOR && saved.config.counts?.sizesByState !== true) return undefined;
      if (GENE_TABLES.has(name)) return { name, rows: genes.rows };
      const [, place, rest] = CONDITION.exec(name) ?? [];
      if (place === undefined) return { name };
      const known = conditions.found[Number(place)];
      if (known === undefined) return undefined;
      const source = { name: `conditions.${known.place}.${rest}` };
      return rest === "embedding" ? { ...source, rows: known.labels } : source;
    },
    genes: genes.ids,
    conditions: conditions.conditions,
    report: { ...genes.report, ...conditions.report },
  };
}

function matchGenes(saved: Matched, own: Matched, from: string) {
  const [theirs, ours] = [saved.tokenizer.vocabulary, own.tokenizer.vocabulary];
  const count = saved.config.geneVocabSize;
  const isSame = theirs.fingerprint === ours.fingerprint;
  // Of the same vocabulary, ids without a gene keep their rows, too.
  const of = new Int32Array(own.config.geneVocabSize).map((_, id) =>
    id < (isSame ? count : SPECIAL_GENES.length) ? id : -1,
  );
  const entries = ours.entries.slice(SPECIAL_GENES.length);
  const { ids: found } = theirs.match(entries.map(({ token, aliases }) => ({ id: token, aliases })));
  const ids = new Map<number, number>();
  const newGenes: string[] = [];
  for (const [i, { id, token }] of entries.entries()) {
    const known = isSame ? id : (found[i] ?? -1);
    of[id] = known;
    if (known < 0) newGenes.push(token);
    else ids.set(known, id);
  }
  if (ids.size === 0) {
    throw new DdscError(
      "CHECKPOINT_VOCABULARY",
      `${from}: the model knows none of the ${ours.geneCount} genes (it has ${namesOf(theirs.entries)}, these are ${namesOf(ours.entries)}); ` +
        "give data whose genes have the names or aliases of the model's, or leave the weights out",
      { file: from },
    );
  }
  const left = theirs.entries.slice(SPECIAL_GENES.length).filter(({ id }) => !ids.has(id));
  return {
    rows: { count, of },
    ids,
    report: { knownGenes: ids.size, newGenes, leftGenes: left.map(({ token }) => token) },
  };
}

function namesOf(entries: readonly { readonly token: string }[]): string {
  const some = entries.slice(SPECIAL_GENES.length, SPECIAL_GENES.length + 2).map(({ token }) => token);
  return `${some.join(", ")}, ...`;
}

function matchConditions(saved: readonly Condition[], own: readonly Condition[]) {
  const newLabels: { condition: string; label: string }[] = [];
  const found = own.map((condition) => {
    const place = saved.findIndex((other) => isSameCondition(other, condition));
    const known = saved[place];
    if (known === undefined) return undefined;
    if (condition.kind === "number" || known.kind === "number") return { place, condition: known };
    const places = new Map(known.labels.map((label, i) => [label, i]));
    const of = Int32Array.from(condition.labels, (label) => places.get(label) ?? -1);
    for (const [i, label] of condition.labels.entries())
      if (of[i] === -1) newLabels.push({ condition: condition.name, label });
    return { place, condition, labels: { count: known.labels.length, of } };
  });
  const kept = new Set(found.map((known) => known?.place));
  return {
    found,
    // What the map of a number has learnt is of its own units.
    conditions: own.map((condition, i) => found[i]?.condition ?? condition),
    report: {
      newConditions: own.filter((_, i) => found[i] === undefined).map(({ name }) => name),
      leftConditions: saved.filter((_, i) => !kept.has(i)).map(({ name }) => name),
      newLabels,
    },
  };
}

function isSameCondition(a: Condition, b: Condition): boolean {
  if (a.name !== b.name || a.kind !== b.kind) return false;
  return a.kind === "labels" || b.kind === "labels" || a.scale === b.scale;
}
