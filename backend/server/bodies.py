"""What requests carry: a JSON object within limits, and the parts of it that every route needs, each checked; and the result
of a task that cannot be predicted.

Whatever is wrong with a request is a BadRequest, whose message the caller reads.
"""

import asyncio
import json
import re
import time
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from backend.learning.places import LAST
from model.version_store import NO_VERSION

MAX_BODY_BYTES = 100_000_000  # the tasks of one /predict, all that are selected: some 50,000 of the usual size
SMALL_BODY = 50_000  # bytes that are parsed sooner than a thread is found for them: a webhook's of one label
BODY_SECONDS = 90.0  # Label Studio gives up after 100 s
DRAIN_SECONDS = 5.0  # how long a body too large is read on and thrown away, so that its sender comes to read the answer
LARGEST_ID = 2**63 - 1
NO_RESULT: dict[str, Any] = {"result": [], "score": LAST, "model_version": NO_VERSION}


class BadRequest(ValueError):
    """A request that makes no sense; the message says why. status: the HTTP status it is answered with."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def read_json(request: Request) -> dict[str, Any]:
    """The JSON object that `request` carries. Raises BadRequest."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            content = await _read(request)
    except TimeoutError as error:
        raise BadRequest(f"The body did not arrive within {BODY_SECONDS:g} s", 408) from error
    except ClientDisconnect as error:
        raise BadRequest("The connection ended before the whole body came") from error
    return _parse(content) if len(content) < SMALL_BODY else await run_in_threadpool(_parse, content)


def project_id(project: Any) -> int:
    """The id in a request's `project`: an object with `id`, a number, or "{id}.{created}". Raises BadRequest."""
    value = project.get("id") if isinstance(project, dict) else project
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        digits = re.fullmatch(r"\s*([0-9]{1,19})(\.[0-9]*)?\s*", str(value)[:100])
        if digits and 1 <= int(digits[1]) <= LARGEST_ID:
            return int(digits[1])
    raise BadRequest(f"project is {shown(value)}, which is no project's id: a number, or {{id}}.{{created}}")


def text(body: dict[str, Any], name: str) -> str:
    """The text under `name`, "" where there is none. Raises BadRequest where there is something else."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name} is {shown(value)}, not text")
    return value or ""


def shown(value: Any) -> str:
    """`value` as a message shows it: short, whatever it is."""
    if isinstance(value, str):
        return repr(value[:50])
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:50]


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared and not (declared.isascii() and declared.isdigit()):
        raise BadRequest(f"Content-Length is {declared[:50]!r}, which is no number")
    too_large = len(declared) > 18 or int(declared or 0) > MAX_BODY_BYTES
    parts, size, deadline = [], 0, float("inf")
    async for part in request.stream():
        size += len(part)
        too_large = too_large or size > MAX_BODY_BYTES
        if not too_large:
            parts.append(part)
            continue
        parts.clear()
        deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
        if time.monotonic() > deadline:
            break
    if too_large:
        raise BadRequest(f"The body is over {MAX_BODY_BYTES:,} bytes: select fewer tasks at once", 413)
    return b"".join(parts)


def _parse(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply") from error
    except ValueError as error:
        raise BadRequest("The body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequest(f"The body is {shown(body)}, not a JSON object")
    return body
