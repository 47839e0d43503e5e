"""Several processes of PyTorch that train one model by DistributedDataParallel over gloo: the peer of bench/ranks.ts.

    python3 bench/peer/ddp.py CASE RANKS STEPS

CASE is that of worker.py as JSON, its batch and threads those of a process. Prints the seconds of each step as rank 0 saw them, as JSON.
"""
import json
import os
import socket
import sys
import time

import torch
import torch.multiprocessing as processes
from torch.nn.parallel import DistributedDataParallel

from worker import Subject


def train(rank, case, ranks, steps, port):
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", str(port)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    subject = Subject(case)
    subject.network = DistributedDataParallel(subject.model)
    torch.manual_seed(1 + rank)
    seconds = []
    for _ in range(steps):
        torch.distributed.barrier()
        start = time.perf_counter()
        subject.train_step()
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        print(json.dumps(seconds), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks, steps = int(sys.argv[2]), int(sys.argv[3])
    processes.spawn(train, (json.loads(sys.argv[1]), ranks, steps, port), nprocs=ranks)
