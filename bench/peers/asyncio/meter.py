"""What the programs of this folder measure themselves with; and the choice of the loop."""

import asyncio
import os
import sys
import time

# This folder's queue.py would stand in the way of the standard library's module.
sys.path.append(sys.path.pop(0))

scale = float(os.environ.get("BENCH_SCALE", "1"))


def count(n):
    return max(1, int(n * scale))


cpu_s = time.process_time


def status_bytes(key):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024


def report(name, value):
    print(f"{name} {value:.3f}", flush=True)


def run(main):
    """Run main() on the loop that BENCH_LOOP names; the process ends without tidying up."""
    if os.environ.get("BENCH_LOOP") == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main())


def leave():
    sys.stdout.flush()
    os._exit(0)
