"""A service that is none of MetWork's: ``python -m tests.underload.elsewhere PORT TEXT``."""

from __future__ import annotations

import asyncio
import sys

from tornado.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self) -> None:
        self.write(sys.argv[2])


async def main() -> None:
    Application([(r"/.*", Hello)], log_function=lambda _handler: None).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
