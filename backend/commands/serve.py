"""`al-backend serve`: the server that Label Studio calls, in this process."""

import gc

import click

from backend.commands.listening import listen
from backend.commands.shared import with_settings
from backend.settings import Settings


@click.command("serve")
@with_settings
def serve_command(settings: Settings) -> None:
    """Run the server that Label Studio calls, on HOST and PORT. It needs Redis: `up` brings one, REDIS_URL names another.

    \b
    Example, with a Redis of your own:
      REDIS_URL=redis://localhost:6379/0 al-backend serve
    """
    import uvicorn

    from backend.server.app import create_app
    from backend.server.protocol import config

    with listen(settings) as listening:
        app = create_app(settings)
        gc.freeze()  # what is there for good: looking through it again held up webhooks for 200 ms, now and then
        uvicorn.Server(config(app)).run(sockets=[listening])
