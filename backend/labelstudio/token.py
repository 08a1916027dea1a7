"""The token with which Label Studio is asked."""

import threading
from collections.abc import Generator

import httpx

from backend.labelstudio.answers import KEY_ADVICE, TOKEN_PATH, is_of_label_studio, problem, unlike_label_studio
from backend.labelstudio.errors import LabelStudioError, unreachable

REFUSED = (400, 401, 403)


class TokenAuth(httpx.Auth):
    """Sends a personal access token as the short-lived access token it stands for; a legacy token as it is.

    http: asks for access tokens, at `url`, LABEL_STUDIO_URL. Safe to share between threads. Raises LabelStudioError.
    """

    def __init__(self, url: str, token: str, http: httpx.Client) -> None:
        token = token.strip()
        if not token:
            raise LabelStudioError(f"LABEL_STUDIO_API_KEY is not set: {KEY_ADVICE}", 401)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise LabelStudioError(
                f"LABEL_STUDIO_API_KEY holds a character that no token has, such as a space: {KEY_ADVICE}", 401
            )
        self._url, self._token, self._http = url, token, http
        self._is_personal = token.count(".") == 2
        self._access = ""
        self._lock = threading.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """httpx's hook: send with a token, and once more with a fresh one after a 401. Bodies of answers are left unread."""
        if not self._is_personal:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        access = self._fresh("")
        request.headers["Authorization"] = f"Bearer {access}"
        answer = yield request
        if answer.status_code == 401:
            request.headers["Authorization"] = f"Bearer {self._fresh(access)}"
            yield request

    def _fresh(self, refused: str) -> str:
        """An access token other than the one that was `refused`, of which another thread may have made one already."""
        with self._lock:
            if self._access in ("", refused):
                try:
                    self._access = self._ask()
                except LabelStudioError as error:
                    error.undone = True  # the request that needs the token was not sent
                    raise
            return self._access

    def _ask(self) -> str:
        try:
            request = self._http.build_request("POST", f"{self._url}{TOKEN_PATH}", json={"refresh": self._token})
            answer = self._http.send(request, auth=None)
        except httpx.HTTPError as error:
            raise unreachable(self._url, error) from None
        if not answer.is_success:
            if answer.status_code in REFUSED and is_of_label_studio(answer):
                raise LabelStudioError(f"LABEL_STUDIO_API_KEY was refused ({answer.status_code}): {KEY_ADVICE}", 401)
            raise problem(answer, self._url)
        try:
            access = answer.json()["access"]
        except (ValueError, TypeError, KeyError, RecursionError):
            access = None
        if not isinstance(access, str) or not access or not access.isascii() or not access.isprintable():
            raise unlike_label_studio(answer, self._url)
        return access
