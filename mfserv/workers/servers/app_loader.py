"""Target: the Python object that ``app = module:object`` names, and what kind of app it is.

``python -m mfserv.workers.servers.app_loader TARGET INTERFACE`` tries it: the exit status is 0 when it can be served.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import Any

from mfext.errors import PluginError


def load_app(target: str, kind: str = "auto") -> tuple[Any, str]:
    """The object, and asgi, wsgi or tornado; what its module raises at import goes through.

    Raises:
        PluginError: there is no such object, or it is no app.
    """
    place, _, name = target.partition(":")
    found: Any = importlib.import_module(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise PluginError(f'the module "{place}" has no "{name}"', where=f"app = {target}")
        found = getattr(found, part)
    return found, kind if kind != "auto" else kind_of(found, target)


def kind_of(app: Any, target: str) -> str:
    """What *app* is, from its looks."""
    if any(f"{one.__module__}.{one.__qualname__}" == "tornado.web.Application" for one in type(app).__mro__):
        return "tornado"
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else getattr(app, "__call__", None)  # noqa: B004
    if call is None:
        raise PluginError(f"a {type(app).__name__} is no app", where=f"app = {target}")
    if inspect.iscoroutinefunction(call):
        return "asgi"
    wanted = [one for one in inspect.signature(call).parameters.values() if one.default is one.empty]
    if len(wanted) == 3:
        return "asgi"
    if len(wanted) == 2:
        return "wsgi"
    raise PluginError("it cannot be seen what kind of app this is", where=f"app = {target}", mend="Set interface.")


def main() -> None:
    """Load what the arguments name, say what is wrong with it, and end, whatever threads the app has started."""
    sys.path.insert(0, "")  # as in a worker
    status = 0
    try:
        load_app(sys.argv[1], sys.argv[2])
    except PluginError as error:
        print(error.found, file=sys.stderr)
        status = error.exit_code
    except BaseException:  # as it would end a worker
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
