# A protocol with a buffer of its own: asyncio's fastest way. (With streams, or the plain
# protocol, a 256 KiB buffer is allocated for each read, which may cost more than all the rest.)
import asyncio

import meter

CHUNK_BYTES = 64 * 1024
LIMIT_S = 120


class Echo(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.chunk = memoryview(bytearray(CHUNK_BYTES))

    def get_buffer(self, sizehint):
        return self.chunk

    def buffer_updated(self, n):
        self.transport.write(bytes(self.chunk[:n]))

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(LIMIT_S)


meter.run(main)
