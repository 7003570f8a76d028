# SPDX-License-Identifier: Apache-2.0
"""Opens connections that last, and tells at the end how many of them came to a good end: one line of JSON.

    connections.py ADDRESS PORT COUNT SECONDS BYTES

COUNT each of: "long answers" (an answer of BYTES that takes SECONDS), "keep-alive" (a request every tenth of a second
on one connection, for SECONDS), "half-sent requests" (the second half follows after SECONDS). It says "open" when all
are.
"""
import asyncio
import json
import sys
import time

PATIENCE = 5.0
HEAD, TAIL = b"GET / HTTP/1.1\r\nHo", b"st: lab\r\n\r\n"


async def read_answer(reader, size):
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(head.decode(errors="replace"))
    await reader.readexactly(size)


async def long_answer(reader, writer, seconds, size):
    writer.write(b"GET /long HTTP/1.1\r\nHost: lab\r\n\r\n")
    await asyncio.wait_for(read_answer(reader, size), seconds + PATIENCE)


async def keep_alive(reader, writer, seconds, size):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        writer.write(HEAD + TAIL)
        await asyncio.wait_for(read_answer(reader, 2), PATIENCE)
        await asyncio.sleep(0.1)


async def half_sent(reader, writer, seconds, size):
    writer.write(HEAD)
    await asyncio.sleep(seconds)
    writer.write(TAIL)
    await asyncio.wait_for(read_answer(reader, 2), PATIENCE)


KINDS = {"long answers": long_answer, "keep-alive": keep_alive, "half-sent requests": half_sent}


async def good_end(conversation):
    try:
        await conversation
        return True
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
        return False


async def main():
    address, port, count, seconds, size = (
        sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
    opened = {kind: [await asyncio.open_connection(address, port) for _ in range(count)] for kind in KINDS}
    started = [asyncio.ensure_future(good_end(talk(*streams, seconds, size)))
               for kind, talk in KINDS.items() for streams in opened[kind]]
    await asyncio.sleep(0.2)  # the first bytes are on their way
    print("open", flush=True)
    ended = iter(await asyncio.gather(*started))
    print(json.dumps({kind: sum(next(ended) for _ in range(count)) for kind in KINDS}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
