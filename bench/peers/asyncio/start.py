import asyncio

import meter


async def main():
    await asyncio.sleep(0)


meter.run(main)
