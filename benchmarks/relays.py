"""Many reference relays in one process, for benchmarks: each with its own enrolment, session, port and TLS.

`python -m benchmarks.relays URL CA FOLDER…`: one relay for each folder with its credentials. Prints a line of JSON at
each switch, with the time of the machine's monotonic clock; a line on standard input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from service.agent.session import ConsumerSession
from service.agent.source import Delivery
from service.agent.state import State
from service.relay.serve import Relay
from service.relay.tls import Serving


async def main(url: str, ca_file: Path, folders: list[Path]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.set_default_executor(ThreadPoolExecutor(3 * len(folders)))

    def tell(consumer: str, serving: Serving) -> None:
        said = {"consumer": consumer, "version": serving.version, "at": time.monotonic()}
        print(json.dumps(said), flush=True)

    relays = []
    for folder in folders:
        lines = [ConsumerSession(Delivery(url, ca_file), State(folder)) for _ in ("fetch", "report")]
        relays.append(Relay(lines[0], lines[1], "127.0.0.1", 0, clock=lambda: datetime.now(UTC), tell=tell))
    running = [asyncio.create_task(relay.run(stop)) for relay in relays]
    await asyncio.to_thread(sys.stdin.readline)
    stop.set()
    await asyncio.gather(*running)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), [Path(one) for one in sys.argv[3:]]))
