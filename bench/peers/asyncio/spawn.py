import asyncio

import meter


async def nothing():
    pass


async def ns_per_task(n):
    begin = meter.cpu_s()
    for _ in range(n):
        await asyncio.create_task(nothing())
    return (meter.cpu_s() - begin) / n * 1e9


async def main():
    await ns_per_task(meter.count(20_000))
    meter.report("spawn_ns", await ns_per_task(meter.count(200_000)))


meter.run(main)
