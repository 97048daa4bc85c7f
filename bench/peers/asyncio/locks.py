import asyncio

import meter


async def ns_per_pair(lock, n):
    begin = meter.cpu_s()
    for _ in range(n):
        await lock.acquire()
        lock.release()
    return (meter.cpu_s() - begin) / n * 1e9


async def measure(name, lock):
    await ns_per_pair(lock, meter.count(100_000))
    meter.report(name, await ns_per_pair(lock, meter.count(1_000_000)))


async def main():
    await measure("lock_ns", asyncio.Lock())
    await measure("semaphore_ns", asyncio.Semaphore(1))


meter.run(main)
