"""Processes for searches side by side, each on one core."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch


def search_pool(processes: int) -> ProcessPoolExecutor:
    """So many processes, started over, with one thread of torch each."""
    return ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,))
