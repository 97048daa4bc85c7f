import asyncio

import meter


async def sleeper():
    await asyncio.sleep(3600)


async def main():
    n = meter.count(100_000)
    begin = meter.cpu_s()
    tasks = [asyncio.create_task(sleeper()) for _ in range(n)]
    await asyncio.sleep(0)
    made = meter.cpu_s()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ended = meter.cpu_s()
    assert all(task.cancelled() for task in tasks)
    meter.report("cancel_make_cpu_us", (made - begin) / n * 1e6)
    meter.report("cancel_cpu_us", (ended - made) / n * 1e6)
    meter.report("cancel_whole_cpu_us", (ended - begin) / n * 1e6)


meter.run(main)
