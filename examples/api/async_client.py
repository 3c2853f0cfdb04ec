"""Compare many pairs of pictures at once: `a.png b.png` a line.

python -m examples.api.async_client 127.0.0.1:50051 PAIRS
"""

import asyncio
import sys
from pathlib import Path

from mien.client import AsyncClient
from mien.errors import InvalidArgument, MienError

AT_ONCE = 16
"""So many come together in one batch of the network."""


async def compare(client: AsyncClient, line: str, places: asyncio.Semaphore) -> str:
    """One line of output; what is wrong with a picture is one, too."""
    async with places:
        a, b = (Path(name).read_bytes() for name in line.split())
        try:
            response = await client.verify(a, b)
        except InvalidArgument as error:
            return f"{line}: {error.reason}"
    return f"{line}: {'match' if response.match else 'no match'} {response.score.similarity:.3f}"


async def main(address: str, pairs: str) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    lines = await asyncio.to_thread(Path(pairs).read_text)
    async with AsyncClient(address) as client:
        asked = [compare(client, line, places) for line in lines.splitlines()]
        for answer in await asyncio.gather(*asked):
            print(answer)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except MienError as error:
        sys.exit(f"{error.reason}: {error}")
