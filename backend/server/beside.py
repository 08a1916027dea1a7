"""Two applications at one address."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


class Beside:
    """Gives requests whose path another application `owns` to that one, and all else to the one it stands before."""

    def __init__(self, app: ASGIApp, owns: Callable[[str], bool], app_beside: ASGIApp) -> None:
        self._app, self._owns, self._beside = app, owns, app_beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        beside = scope["type"] == "http" and self._owns(scope["path"])
        await (self._beside if beside else self._app)(scope, receive, send)
