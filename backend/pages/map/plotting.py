"""Plotly's JavaScript, as it lies in the wheel of the Python package: none of it is in this repository."""

import gzip
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from starlette.responses import Response

from backend.pages.visit import Page, Visit

PATH = "/static/plotly.min.js"
KEPT = "public, max-age=31536000, immutable"  # its address changes with its version


def address() -> str:
    """Where a page gets it."""
    return f"{PATH}?v={version('plotly')}"


@cache
def script() -> bytes:
    """Compressed: 4.8 MB otherwise."""
    spec = find_spec("plotly")
    assert spec  # noqa: S101  it is required
    assert spec.origin  # noqa: S101  a package with an __init__.py has one
    return gzip.compress((Path(spec.origin).parent / "package_data" / "plotly.min.js").read_bytes(), 6)


def _plotly(visit: Visit) -> Response:
    zipped = "gzip" in visit.request.headers.get("accept-encoding", "")
    headers = {"Cache-Control": KEPT, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
    return Response(script() if zipped else gzip.decompress(script()), media_type="text/javascript", headers=headers)


PAGES = (Page(PATH, _plotly, of_project=False, needs_login=False),)
