"""How long a frame takes while the map is dragged, in headless Chromium without a graphics card.

`python -m tools.pan_map --images 100000` serves the page's own scripts with made-up images, drags it by mouse, and prints the
milliseconds between frames, those of drawing it anew, and those until it is there. It needs Chromium, and playwright from
requirements-dev.txt.
"""

import argparse
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from backend.bench.child import free_port
from backend.pages.app import STATIC
from backend.pages.map import plotting
from backend.pages.map.page import RELAXED
from backend.pages.map.points import packed
from backend.pages.policy import policy
from backend.pages.visit import filled

DRAGS, MOVES = 5, 60
FRAMES = """() => {
  window.frames_at = [];
  const note = at => { frames_at.push(at); requestAnimationFrame(note); };
  requestAnimationFrame(note);
}"""


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    asked = parser.parse_args()
    with served(asked.images) as address:
        print(json.dumps(measured(address), indent=1))


@contextmanager
def served(images: int) -> Iterator[str]:
    """The address of a map of made-up images in forty clouds."""
    chance, port = np.random.default_rng(0), free_port()
    centres = 30 * chance.normal(size=(40, 2))
    places = (centres[chance.integers(40, size=images)] + 3 * chance.normal(size=(images, 2))).astype(np.float32)
    arrays: dict[str, NDArray[Any]] = {
        "tasks": np.arange(images, dtype=np.float64),
        "x": places[:, 0],
        "y": places[:, 1],
        "places": np.full(images, -1, np.int32),
        "labels": chance.integers(-1, 2, size=images).astype(np.int16),
        "guesses": chance.integers(2, size=images).astype(np.int16),
        "certainty": chance.integers(101, size=images).astype(np.uint8),
        "open": np.ones(images, np.uint8),
    }
    content = packed(arrays, {"images": images, "names": ["ants", "bees"]})
    shown = {"there": True, "live": "al-1-000000", "running": [], "plotly": plotting.address(), "most": 500, "project": 1}
    shown |= {"account": SimpleNamespace(name="nobody", csrf=""), "title": "", "tabs": (), "here": "", "label_studio_url": ""}
    page = filled("map.html", shown)

    async def plotly(_: Request) -> Response:
        return Response(plotting.script(), media_type="text/javascript", headers={"Content-Encoding": "gzip"})

    async def points(_: Request) -> Response:
        return Response(content, media_type="application/octet-stream")

    async def html(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy(RELAXED)})

    routes = [Route("/", html), Route("/projects/1/map/points", points), Route(plotting.PATH, plotly)]
    app = Starlette(routes=[*routes, Mount("/static", StaticFiles(directory=STATIC))])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


def measured(address: str) -> dict[str, Any]:
    """What a person with this browser waits for, in milliseconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        started = time.monotonic()
        page.goto(address)
        page.locator("#plot[data-drawn]").wait_for(timeout=60_000)
        there = 1000 * (time.monotonic() - started)
        page.evaluate(FRAMES)
        box = page.locator("#plot").bounding_box()
        assert box  # noqa: S101  the map is there
        while_dragging, anew = [], []
        for _ in range(DRAGS):
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.evaluate("frames_at.length = 0")
            for step in range(MOVES):
                page.mouse.move(x + 2 * step, y + step)
            while_dragging += page.evaluate("frames_at.slice(1).map((at, number) => at - frames_at[number])")
            page.evaluate("frames_at.length = 0")
            page.mouse.up()
            page.wait_for_timeout(1000)
            anew.append(max(page.evaluate("frames_at.slice(1).map((at, number) => at - frames_at[number])")))
        browser.close()
    return {
        "frames": len(while_dragging),
        "frame_median_ms": round(float(np.median(while_dragging)), 1),
        "frame_p95_ms": round(float(np.quantile(while_dragging, 0.95)), 1),
        "frames_over_100_ms": int(np.sum(np.array(while_dragging) > 100)),
        "frame_longest_ms": round(float(np.max(while_dragging)), 1),
        "drawn_anew_ms": round(float(np.median(anew)), 1),
        "there_after_ms": round(there, 1),
    }


if __name__ == "__main__":
    main()
