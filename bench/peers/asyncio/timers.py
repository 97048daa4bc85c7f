import asyncio
import random

import meter


async def nap(s):
    await asyncio.sleep(s)


async def main():
    n = meter.count(100_000)
    random.seed(1)
    begin = meter.cpu_s()
    await asyncio.gather(*[asyncio.create_task(nap(random.random())) for _ in range(n)])
    meter.report("timers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)


meter.run(main)
