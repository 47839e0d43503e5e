"""The peer of bench/data.ts: cells of Parquet shards to padded batches with pyarrow, numpy and torch.

Each worker process of a torch DataLoader reads row groups and collates batches cell by cell, as the published collator
does: ranks by torch.quantile over the cell's expressed counts, a random sample of genes where there are too many, the
marker kept in front, padding to the longest cell of the batch. Prints one line of JSON.

    python3 bench/peer/collate.py FOLDER [--batch 64] [--length 1024] [--workers 2]
"""

import argparse
import json
import os
import pathlib
import resource
import time

import numpy as np
import pyarrow.parquet as pq
import torch

RANKS = 51


def collate(genes, expressions, length, quantiles):
    """One batch: gene ids and rank tokens, [cells, longest], padded with 0."""
    rows = []
    for ids, counts in zip(genes, expressions):
        ids = torch.from_numpy(ids)
        counts = torch.from_numpy(counts)
        edges = torch.quantile(counts[1:], quantiles)[1:-1]
        tokens = torch.zeros(len(ids), dtype=torch.int64)
        tokens[1:] = torch.bucketize(counts[1:], edges) + 2
        if len(ids) > length:
            kept = torch.randperm(len(ids) - 1)[: length - 1].sort().values + 1
            kept = torch.cat([torch.zeros(1, dtype=torch.int64), kept])
            ids, tokens = ids[kept], tokens[kept]
        rows.append((ids, tokens))
    longest = max(len(ids) for ids, _ in rows)
    out_genes = torch.zeros(len(rows), longest, dtype=torch.int64)
    out_tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
    for i, (ids, tokens) in enumerate(rows):
        out_genes[i, : len(ids)] = ids
        out_tokens[i, : len(tokens)] = tokens
    return out_genes, out_tokens


class Cells(torch.utils.data.IterableDataset):
    def __init__(self, paths, batch, length):
        self.paths, self.batch, self.length = paths, batch, length

    def __iter__(self):
        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        quantiles = torch.linspace(0, 1, RANKS + 1)
        number = 0
        for path in self.paths:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                number += 1
                if number % workers != worker:
                    continue
                table = file.read_row_group(group, columns=["genes", "expressions"], use_threads=False)
                lists = [table[name].combine_chunks() for name in ("genes", "expressions")]
                bounds = lists[0].offsets.to_numpy()
                genes, expressions = (column.values.to_numpy(zero_copy_only=False) for column in lists)
                order = np.random.permutation(len(bounds) - 1)
                for start in range(0, len(order), self.batch):
                    some = order[start : start + self.batch]
                    cells = [(bounds[row], bounds[row + 1]) for row in some]
                    cells = [(a, b) for a, b in cells if b - a > 1]
                    yield collate(
                        [genes[a:b].copy() for a, b in cells],
                        [expressions[a:b].copy() for a, b in cells],
                        self.length,
                        quantiles,
                    )


def processor_time(batches):
    """Seconds of processor time of this process and of the loader's workers, ended ones included."""
    ticks = 0
    for worker in getattr(batches, "_workers", []):
        stat = pathlib.Path(f"/proc/{worker.pid}/stat")
        if worker.is_alive() and stat.exists():
            ticks += sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13]))
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage) + ticks / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    paths = sorted(str(path) for path in pathlib.Path(options.folder).glob("train-*.parquet"))
    opening = time.perf_counter()
    dataset = Cells(paths, options.batch, options.length)
    batches = iter(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=options.workers))
    next(batches)
    start, before = time.perf_counter(), processor_time(batches)
    cells = sum(len(genes) for genes, _ in batches)
    seconds = time.perf_counter() - start
    result = {
        "cells": cells,
        "seconds": seconds,
        "cpuSeconds": processor_time(batches) - before,
        "firstBatchSeconds": start - opening,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
