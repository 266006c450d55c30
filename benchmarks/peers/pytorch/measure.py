"""The timing loop of benchmarks/src/measure.ts, step by step."""

import time


def measure(run, settle, budget):
    """Milliseconds of one run, `budget["samples"]` times (fewer for slow work), after the warm-up."""
    last = 0
    spent = 0
    runs = 0
    while runs < 3 or spent < budget["warmUp"]:
        last = timed(run, settle, 1)
        if runs > 0 or last > budget["slow"]:
            spent += last  # the first run compiles, which warms nothing up
        if spent > budget["slow"]:
            break
        runs += 1
    runs_per_sample = max(1, int(budget["sample"] / last + 0.5))
    samples = []
    spent = 0
    while len(samples) < budget["samples"] and (not samples or spent < budget["slow"]):
        sample = timed(run, settle, runs_per_sample)
        samples.append(sample)
        spent += sample * runs_per_sample
    return samples


def timed(run, settle, runs):
    """Mean milliseconds of `runs` runs, each waited for."""
    spent = 0
    for _ in range(runs):
        start = time.perf_counter()
        run()
        spent += 1000 * (time.perf_counter() - start)
        if settle:
            settle()
    return spent / runs
