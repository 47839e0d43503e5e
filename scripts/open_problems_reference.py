"""Writes test/evaluation/counts/open_problems.json: python scripts/open_problems_reference.py

Inputs and the two numbers of the denoising benchmark of Open Problems in Single-Cell Analysis, in numpy, as
openproblems-bio/task_denoising defines them in src/metrics/mse/script.py and src/metrics/poisson/script.py (commit bda85e2): counts
normalised to 10,000 a cell, where a cell without counts is left as it is, log1p, mean squared error; and the Poisson loss with the test
counts passed as the prediction.
"""
import json
import pathlib

import numpy as np


def mse(test, denoised):
    def normalise(counts):
        totals = counts.sum(1, keepdims=True)
        return np.log1p(counts * (10_000 / np.where(totals == 0, 1, totals)))

    return float(((normalise(test) - normalise(denoised)) ** 2).mean())


def poisson(test, denoised, train_sum):
    def loss(y_pred, y_true):
        return (y_pred - y_true * np.log(y_pred + 1e-6)).mean()

    return float(loss(test, denoised * test.sum() / train_sum))


def main():
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 2.0, size=(12, 9)) * rng.gamma(2.0, 1.0, size=(12, 1))
    counts = rng.poisson(rates)
    test = rng.binomial(counts, 0.1)
    test[3] = 0
    train = counts - test
    denoised = np.round(0.7 * train + 0.3 * rates, 6)
    result = {
        "test": test.tolist(),
        "trainTotals": train.sum(1).tolist(),
        "denoised": denoised.tolist(),
        "mse": mse(test.astype(float), denoised),
        "poisson": poisson(test.astype(float), denoised, train.sum()),
    }
    path = pathlib.Path(__file__).parent.parent / "test" / "evaluation" / "counts" / "open_problems.json"
    path.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
