"""A worker's connection that breaks at a bad moment."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mapreduce.cluster.agent.connection import Connection, LostError


def test_a_line_that_breaks_right_after_the_welcome_is_lost_and_nothing_worse() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def dial() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            where = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*where)
            link = Connection(reader, writer)
            await reader.read()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            link.watch(5.0)
            with pytest.raises(LostError):
                await link.hear()

    asyncio.run(dial())
