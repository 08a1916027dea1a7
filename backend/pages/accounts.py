"""Who is logged in: a person's own Label Studio token, kept on Redis, encrypted with a key that only their cookie holds."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Set
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr
from redis import Redis

from backend.labelstudio.client import LabelStudio
from backend.network.transport import request_within
from backend.settings import Settings

SECONDS = 12 * 3600  # without a request, after which a person logs in again
SEEN_SECONDS = 30  # for which what a token may see is not asked again
ASK_SECONDS = 10.0  # in which Label Studio must answer: a person waits for it
TRIES = 1  # of requests to Label Studio: a person waits for the answer


@dataclass(frozen=True)
class Account:
    """A person of Label Studio. csrf: what a form of this person's pages sends back, so that no other site can send it; id: the
    person's in Label Studio."""

    token: str
    name: str
    csrf: str
    id: int


class Accounts:
    """Logins. Neither Redis nor a copy of it tells a token: its key is derived from the cookie, which is not kept here."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings = settings
        self._redis = redis
        self._seen: dict[str, _Seen] = {}

    def log_in(self, token: str) -> str:
        """Check `token` with Label Studio; returns the cookie of a new login. Raises LabelStudioError, its status 401 where the
        token is refused."""
        token = token.strip()
        with self.client(token) as label_studio, request_within(time.monotonic() + ASK_SECONDS):
            person = label_studio.whoami()
        name = str(person.get("email") or person.get("username") or f"user {person['id']}")
        account = Account(token, name, secrets.token_urlsafe(24), person["id"])
        cookie = secrets.token_urlsafe(32)
        self._redis.set(_place(cookie), _lock(cookie).encrypt(json.dumps(asdict(account)).encode()), ex=SECONDS)
        return cookie

    def of(self, cookie: str | None) -> Account | None:
        """Who holds `cookie`; None for nobody, and after SECONDS without a request."""
        if not cookie:
            return None
        kept = self._redis.getex(_place(cookie), ex=SECONDS)
        try:
            return Account(**json.loads(_lock(cookie).decrypt(kept))) if isinstance(kept, bytes) else None
        except (InvalidToken, ValueError, TypeError):
            return None

    def log_out(self, cookie: str | None) -> None:
        """Forget the login of `cookie`."""
        if cookie:
            self._redis.delete(_place(cookie))

    def client(self, token: str) -> LabelStudio:
        """Label Studio as the holder of `token` sees it; to be closed. Raises LabelStudioError on what can be no token."""
        return LabelStudio(self._settings.model_copy(update={"label_studio_api_key": SecretStr(token)}), TRIES)

    def projects(self, account: Account, known: Set[int]) -> dict[int, str]:
        """Titles of those of the `known` projects that `account` may see, by their ids. Raises LabelStudioError."""
        seen = self._seen.get(account.token)
        if not seen or seen.is_old() or not known <= seen.known:  # one that was connected a moment ago is looked for at once
            with self.client(account.token) as label_studio, request_within(time.monotonic() + ASK_SECONDS):
                seen = _Seen(time.monotonic(), frozenset(known), label_studio.project_titles())
            fresh = {token: kept for token, kept in self._seen.items() if not kept.is_old()}
            self._seen = fresh | {account.token: seen}  # a new dict, since other threads read the old one
        return {project: title for project, title in seen.titles.items() if project in known}


@dataclass(frozen=True)
class _Seen:
    """What Label Studio told somebody: when, which projects were known here then, and the titles of all that they see."""

    asked: float
    known: frozenset[int]
    titles: dict[int, str]

    def is_old(self) -> bool:
        """Whether it is to be asked again."""
        return time.monotonic() - self.asked > SEEN_SECONDS


def _place(cookie: str) -> str:
    return "al:login:" + hashlib.sha256(b"place" + cookie.encode()).hexdigest()


def _lock(cookie: str) -> Fernet:
    """The lock whose key is `cookie`, 256 random bits."""
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"key" + cookie.encode()).digest()))
