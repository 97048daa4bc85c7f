import asyncio

import meter


async def produce(queue, n):
    for i in range(n):
        await queue.put(i)


async def consume(queue, n):
    for i in range(n):
        assert await queue.get() == i


async def ns_per_item(capacity, n):
    queue = asyncio.Queue(capacity)
    begin = meter.cpu_s()
    await asyncio.gather(produce(queue, n), consume(queue, n))
    return (meter.cpu_s() - begin) / n * 1e9


async def main():
    for capacity in 1, 128:
        await ns_per_item(capacity, meter.count(20_000))
        meter.report(f"queue_{capacity}_ns", await ns_per_item(capacity, meter.count(200_000)))


meter.run(main)
