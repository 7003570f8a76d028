# SPDX-License-Identifier: Apache-2.0
"""A web server whose connections last: HTTP/1.1 with keep-alive, and /long takes SECONDS for BYTES.

Run as: slow_pod.py PORT SECONDS BYTES
"""
import asyncio
import sys

PARTS = 50


async def serve(reader, writer, seconds, size):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            body = size if head.startswith(b"GET /long ") else 2
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n".encode())
            if body == size:
                for _ in range(PARTS):
                    writer.write(b"x" * (size // PARTS))
                    await writer.drain()
                    await asyncio.sleep(seconds / PARTS)
            else:
                writer.write(b"ok")
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    port, seconds, size = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    server = await asyncio.start_server(lambda r, w: serve(r, w, seconds, size), "0.0.0.0", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
