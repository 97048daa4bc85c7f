import asyncio

import meter


async def give_way(turns):
    for _ in range(turns):
        await asyncio.sleep(0)


async def ns_per_switch(tasks, turns):
    begin = meter.cpu_s()
    await asyncio.gather(*[asyncio.create_task(give_way(turns)) for _ in range(tasks)])
    return (meter.cpu_s() - begin) / (tasks * turns) * 1e9


async def main():
    await ns_per_switch(1000, meter.count(50))
    meter.report("switch_ns", await ns_per_switch(1000, meter.count(500)))
    meter.report("switch_alone_ns", await ns_per_switch(1, meter.count(500_000)))


meter.run(main)
