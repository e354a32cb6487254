"""A port without TLS in front of one that wants it: `plain_front.py ADDRESS PORT NAME PORT CA_FILE`.

For: tests that need a server of others which takes mail by HTTP alone, as Madmail's may.
"""

import asyncio
import ssl
import sys
from contextlib import suppress

READ_BYTES = 65_536


async def serve(address: str, port: int, name: str, inner_port: int, ca_file: str) -> None:
    """Hand on what comes, both ways, until this is ended."""
    context = ssl.create_default_context(cafile=ca_file)

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(
            address, inner_port, ssl=context, server_hostname=name
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, inner_writer))
            group.create_task(_copy(inner_reader, writer))

    server = await asyncio.start_server(hand_on, address, port)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(READ_BYTES):
            writer.write(part)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    _, own_address, own_port, inner_name, wanted_port, ca = sys.argv
    asyncio.run(serve(own_address, int(own_port), inner_name, int(wanted_port), ca))
