"""`al-backend serve`: the server that Label Studio calls, in this process."""

import gc
import threading

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

    from backend.project.fitting import keep_announcing
    from backend.project.sharing import keep_trimming
    from backend.project.takeover import take_over
    from backend.queue.redis_server import connect_redis
    from backend.server.app import create_app
    from backend.server.protocol import config

    take_over(settings)
    with listen(settings) as listening:
        app = create_app(settings)
        announcing = (settings, connect_redis(settings, seconds=5), threading.Event())
        threading.Thread(target=keep_announcing, args=announcing, daemon=True, name="announce").start()
        if settings.store:
            threading.Thread(target=keep_trimming, args=(settings, threading.Event()), daemon=True, name="trim").start()
        gc.freeze()  # what is there for good: looking through it again held up webhooks for 200 ms, now and then
        uvicorn.Server(config(app)).run(sockets=[listening])
