import { EigenvalueDecomposition, Matrix, SingularValueDecomposition, solve } from "ml-matrix";
import { describe, expect, it } from "vitest";
import { logNegativeBinomial } from "../../../lib/counts/negative_binomial.js";
import { CellScores } from "../../../lib/evaluation/counts/baselines/cell_scores.js";
import { DepthTimesShare, type MeanMethod } from "../../../lib/evaluation/counts/baselines/mean_method.js";
import {
  chooseByLikelihood,
  MeanPredictor,
} from "../../../lib/evaluation/counts/baselines/mean_predictor.js";
import { NeighbourMeans } from "../../../lib/evaluation/counts/baselines/neighbours.js";
import { principalComponents } from "../../../lib/evaluation/counts/baselines/principal_components.js";
import { RidgeMeans } from "../../../lib/evaluation/counts/baselines/ridge.js";
import { SingularVectorMeans } from "../../../lib/evaluation/counts/baselines/singular_vectors.js";
import { TypeMeans } from "../../../lib/evaluation/counts/baselines/type_means.js";
import type { CountBase } from "../../../lib/evaluation/counts/count_cells.js";
import {
  answersOf,
  hideGenes,
  type MaskedCells,
  maskCells,
} from "../../../lib/evaluation/counts/masked_cells.js";
import { baseOf, cellsOf, FIRST_GENE, twoTypes } from "./support.js";

const GENES = 14;
// Deep enough that no two training cells are equally near.
const trainingTruth = twoTypes(120, GENES, 1, 300);
const heldOutTruth = twoTypes(15, GENES, 2, 300);
const training = cellsOf(trainingTruth.dense, trainingTruth.labels);
const heldOut = cellsOf(heldOutTruth.dense, heldOutTruth.labels);
const base = baseOf(trainingTruth.dense);
const share = Array.from({ length: GENES }, (_, gene) => base.share[gene + FIRST_GENE]!);
const hidden = hideGenes(heldOut, 0.5, 3);
const masked = maskCells(heldOut, hidden, 0, 15, base);
const nothing = async () => {};
const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);

/** Hidden columns of a cell, and its visible columns. */
function columnsOf(cells: MaskedCells, cell: number): { hidden: number[]; visible: number[] } {
  const asked = new Set(
    cells.hidden.genes.subarray(cells.hidden.offsets[cell], cells.hidden.offsets[cell + 1]),
  );
  const all = Array.from({ length: GENES }, (_, gene) => gene);
  return {
    hidden: all.filter((gene) => asked.has(gene + FIRST_GENE)),
    visible: all.filter((gene) => !asked.has(gene + FIRST_GENE)),
  };
}

function depthGiven(visibleTotal: number, visibleShare: number): number {
  return (visibleTotal + base.spread) / (visibleShare + base.spread / base.meanDepth);
}

/** Depth of a masked cell by its formula. */
function depthOf(row: readonly number[], visible: readonly number[]): number {
  return depthGiven(sum(visible.map((gene) => row[gene]!)), sum(visible.map((gene) => share[gene]!)));
}

/** Compares a method's means with those that a dense reimplementation gives for a cell. */
function expectMeans(
  method: MeanMethod,
  setting: number,
  dense: (row: readonly number[], columns: { hidden: number[]; visible: number[] }, cell: number) => number[],
  digits = 8,
): void {
  const means = method.means(masked, [setting])[0]!;
  heldOutTruth.dense.forEach((row, cell) => {
    const columns = columnsOf(masked, cell);
    dense(row, columns, cell).forEach((expected, i) => {
      expect(means[masked.queries.offsets[cell]! + i]).toBeCloseTo(expected, digits);
    });
  });
}

it("depth times share is (V + a) / (S + a / mean depth) times the gene's share", () => {
  expectMeans(new DepthTimesShare(base), 0, (row, columns) =>
    columns.hidden.map((gene) => depthOf(row, columns.visible) * share[gene]!),
  );
});

it("the negative binomial baseline has its pmf at depth times share", async () => {
  const predictor = new MeanPredictor(new DepthTimesShare(base), base, {
    setting: 0,
    weight: 1,
    sizeFactor: 1,
  });
  const answers = answersOf(heldOut, masked);
  const { logProbability, expressed } = await predictor.predict(masked, answers);
  const means = new DepthTimesShare(base).means(masked, [0])[0]!;
  means.forEach((mean, query) => {
    const size = base.size[masked.queries.genes[query]!]!;
    expect(logProbability[query]).toBeCloseTo(logNegativeBinomial(answers[query]!, mean, size), 12);
    expect(expressed[query]).toBeCloseTo(1 - Math.exp(logNegativeBinomial(0, mean, size)), 12);
  });
});

it("kNN takes the cells of the greatest cosine over visible genes, their shares at the depth these tell", () => {
  const totals = trainingTruth.dense.map(sum);
  expectMeans(
    new NeighbourMeans(training, base),
    1, // 20 neighbours
    (row, { hidden: asked, visible }) => {
      const depth = depthOf(row, visible);
      const own = visible.map((gene) => Math.log1p((row[gene]! / depth) * base.meanDepth));
      const cosine = trainingTruth.dense.map((other, cell) => {
        const values = visible.map((gene) => Math.log1p((other[gene]! / totals[cell]!) * base.meanDepth));
        return sum(values.map((value, i) => value * own[i]!)) / Math.hypot(...values);
      });
      const nearest = cosine
        .map((_, cell) => cell)
        .sort((a, b) => cosine[b]! - cosine[a]!)
        .slice(0, 20);
      const rate = (gene: number) =>
        sum(nearest.map((cell) => trainingTruth.dense[cell]![gene]!)) /
        sum(nearest.map((cell) => totals[cell]!));
      const local = depthGiven(sum(visible.map((gene) => row[gene]!)), sum(visible.map(rate)));
      return asked.map((gene) => local * rate(gene));
    },
  );
});

it("the type mean is the shares of the cell's type, shrunk by one average cell, at the depth these tell", () => {
  expectMeans(new TypeMeans(training, base), 0, (row, { hidden: asked, visible }, cell) => {
    const of = trainingTruth.dense.filter((_, i) => trainingTruth.labels[i] === heldOutTruth.labels[cell]);
    const molecules = sum(of.map(sum));
    const rate = (gene: number) =>
      (sum(of.map((each) => each[gene]!)) + base.meanDepth * share[gene]!) / (molecules + base.meanDepth);
    const local = depthGiven(sum(visible.map((gene) => row[gene]!)), sum(visible.map(rate)));
    return asked.map((gene) => local * rate(gene));
  });
});

it("a type that no training cell has leaves depth times share", () => {
  const unknown = { ...masked, labels: heldOutTruth.labels.map(() => "new") };
  expect(new TypeMeans(training, base).means(unknown, [0])[0]).toEqual(
    new DepthTimesShare(base).means(masked, [0])[0],
  );
});

describe("principal components", () => {
  const residuals = trainingTruth.dense.map((row) =>
    row.map((count, gene) => (count - sum(row) * share[gene]!) / Math.sqrt(sum(row) * share[gene]!)),
  );
  const exact = new SingularValueDecomposition(new Matrix(residuals), { autoTranspose: true });

  it("are the right singular vectors of the exact decomposition, up to their signs", () => {
    const { components } = new CellScores(training, base, 4, 0);
    for (let j = 0; j < 4; j++) {
      expect(components.variances[j]).toBeCloseTo(exact.diagonal[j]! ** 2 / 120, 8);
      const own = Array.from(
        { length: GENES },
        (_, gene) => components.vectors[(gene + FIRST_GENE) * 4 + j]!,
      );
      const vector = exact.rightSingularVectors.getColumn(j);
      expect(Math.abs(sum(own.map((value, gene) => value * vector[gene]!)))).toBeCloseTo(1, 8);
    }
  });

  it("reconstruct a matrix of their rank from genes of two panels", () => {
    // Rank 2 within each panel's genes, 0 outside of them.
    const panelGenes = [Int32Array.of(0, 1, 2, 3), Int32Array.of(2, 3, 4, 5)];
    const rows = Array.from({ length: 30 }, (_, cell) => {
      const genes = panelGenes[cell % 2]!;
      return Array.from({ length: 6 }, (_, gene) =>
        genes.includes(gene) ? Math.sin(1 + cell * (cell % 2 ? 1 : 2)) * (gene + 1) : 0,
      );
    });
    const components = principalComponents(
      {
        offsets: Int32Array.from({ length: 31 }, (_, cell) => 4 * cell),
        genes: Int32Array.from(rows.flatMap((_, cell) => [...panelGenes[cell % 2]!])),
        values: Float64Array.from(
          rows.flatMap((row, cell) =>
            [...panelGenes[cell % 2]!].map((gene) => row[gene]! + 0.5 * (gene + 1)),
          ),
        ),
        rowScale: new Float64Array(30).fill(1),
        columnScale: Float64Array.from({ length: 6 }, (_, gene) => 0.5 * (gene + 1)),
        panels: Int32Array.from(rows, (_, cell) => cell % 2),
        panelGenes,
      },
      2,
      0,
    );
    const { variances, vectors } = components;
    const covariance = new Matrix(rows).transpose().mmul(new Matrix(rows)).div(30);
    const values = [...new EigenvalueDecomposition(covariance).realEigenvalues].sort((a, b) => b - a);
    expect(variances[0]).toBeCloseTo(values[0]!, 10);
    expect(variances[1]).toBeCloseTo(values[1]!, 10);
    for (const row of rows) {
      for (let gene = 0; gene < 6; gene++) {
        let back = 0;
        for (let j = 0; j < 2; j++) {
          const score = sum(row.map((value, each) => value * vectors[each * 2 + j]!));
          back += score * vectors[gene * 2 + j]!;
        }
        expect(back).toBeCloseTo(row[gene]!, 8);
      }
    }
  });

  it("give scores that solve the normal equations of the visible genes, and truncated SVD their means", () => {
    const scores = new CellScores(training, base, 8, 0);
    const { vectors, rank } = scores.components;
    const method = new SingularVectorMeans(scores, base);
    method.settings.forEach((name, setting) => {
      const used = Number(name.replace("rank ", ""));
      expectMeans(method, setting, (row, { hidden: asked, visible }) => {
        const depth = depthOf(row, visible);
        const loading = (gene: number, j: number) => vectors[(gene + FIRST_GENE) * rank + j]!;
        const y = visible.map(
          (gene) => (row[gene]! - depth * share[gene]!) / Math.sqrt(depth * share[gene]!),
        );
        const noise = visible.map((gene) => scores.noise[gene + FIRST_GENE]!);
        const left = Matrix.zeros(used, used);
        const right = Matrix.zeros(used, 1);
        for (let j = 0; j < used; j++) {
          for (let k = 0; k < used; k++) {
            const prior = j === k ? base.meanDepth / (depth * scores.prior[j]!) : 0;
            left.set(
              j,
              k,
              prior + sum(visible.map((gene, i) => (loading(gene, j) * loading(gene, k)) / noise[i]!)),
            );
          }
          right.set(j, 0, sum(visible.map((gene, i) => (loading(gene, j) * y[i]!) / noise[i]!)));
        }
        const z = solve(left, right).getColumn(0);
        return asked.map((gene) => {
          const mean = depth * share[gene]!;
          return mean + Math.sqrt(mean) * sum(z.map((value, j) => value * loading(gene, j)));
        });
      });
    });
  });
});

it("ridge solves the normal equations of scores and hidden counts, weighted by depth", async () => {
  const scores = new CellScores(training, base, 4, 0);
  const ratio = 0.5;
  const method = await RidgeMeans.fit(training, base, scores, { ratio, seed: 9, pause: nothing });
  const trained = maskCells(training, hideGenes(training, ratio, 9), 0, 120, base);
  const rank = 4;
  const z = trainingTruth.dense.map((_, cell) => scores.of(trained, cell, [rank])[0]!);
  const depths = trainingTruth.dense.map((row, cell) => depthOf(row, columnsOf(trained, cell).visible));
  // By their definition: z / sqrt(depth / mean depth) of mean depth, targets (x - L s) / L, weights L.
  const unit = z.map((each, cell) =>
    [...each].map((value) => value / Math.sqrt(depths[cell]! / base.meanDepth)),
  );
  const moment = Matrix.zeros(rank, rank);
  unit.forEach((each, cell) => {
    for (let j = 0; j < rank; j++) {
      for (let k = 0; k < rank; k++)
        moment.set(j, k, moment.get(j, k) + ratio * depths[cell]! * each[j]! * each[k]!);
    }
  });
  const penalty = Number(/penalty (.*)$/.exec(method.settings[1]!)![1]);
  const penalised = Matrix.add(moment, Matrix.eye(rank).mul((penalty * moment.trace()) / rank));
  const coefficients = Array.from({ length: GENES }, (_, gene) => {
    const right = Matrix.zeros(rank, 1);
    trainingTruth.dense.forEach((row, cell) => {
      if (!columnsOf(trained, cell).hidden.includes(gene)) return;
      const residual = (row[gene]! - depths[cell]! * share[gene]!) / depths[cell]!;
      for (let j = 0; j < rank; j++)
        right.set(j, 0, right.get(j, 0) + depths[cell]! * unit[cell]![j]! * residual);
    });
    return solve(penalised, right).getColumn(0);
  });
  expectMeans(method, 1, (row, { hidden: asked, visible }, cell) => {
    const depth = depthOf(row, visible);
    const own = [...scores.of(masked, cell, [rank])[0]!].map(
      (value) => value / Math.sqrt(depth / base.meanDepth),
    );
    return asked.map(
      (gene) => depth * (share[gene]! + sum(own.map((value, j) => value * coefficients[gene]![j]!))),
    );
  });
});

it("setting, weight and size factor are those of the highest likelihood among the ones that were compared", async () => {
  // Means that are right in setting 1, and counts from Poisson: all weight on the method, the greatest size.
  const truth = twoTypes(200, GENES, 7);
  const cells = cellsOf(truth.dense);
  const chunk = maskCells(cells, hideGenes(cells, 0.5, 1), 0, 200, base);
  const right = new Float64Array(chunk.queries.genes.length);
  chunk.cells.forEach((cell, i) => {
    const shares = truth.shares[truth.labels[cell] === "even" ? 0 : 1]!;
    for (let query = chunk.queries.offsets[i]!; query < chunk.queries.offsets[i + 1]!; query++) {
      right[query] = truth.depths[cell]! * shares[chunk.queries.genes[query]! - FIRST_GENE]!;
    }
  });
  const method: MeanMethod = {
    name: "truth",
    settings: ["wrong", "right"],
    means: (_, settings) =>
      settings.map((setting) => (setting === 1 ? right : right.map((mean) => 3 * mean))),
  };
  const wide: CountBase = { ...base, size: base.size.map(() => 2) };
  const choice = await chooseByLikelihood(
    method,
    wide,
    [{ masked: chunk, answers: answersOf(cells, chunk) }],
    nothing,
  );
  expect(choice).toEqual({ setting: 1, weight: 0.01, sizeFactor: 16 });
});
