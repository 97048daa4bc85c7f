import asyncio

import meter


async def sleeper():
    await asyncio.sleep(3600)


async def main():
    n = meter.count(1_000_000)
    tasks = set()  # asyncio keeps only weak references to its tasks
    rss = meter.status_bytes("VmRSS")
    begin = meter.cpu_s()
    for _ in range(n):
        tasks.add(asyncio.create_task(sleeper()))
    await asyncio.sleep(0)
    meter.report("sleepers_cpu_us", (meter.cpu_s() - begin) / n * 1e6)
    meter.report("sleepers_rss_bytes", (meter.status_bytes("VmHWM") - rss) / n)
    meter.leave()


meter.run(main)
