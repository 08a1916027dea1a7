"""The pages in a real browser."""

TRIES = 3  # on a busy machine Label Studio may take longer than a page waits for it, which answers 502 then
DESK, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 780}


class Person:
    """Somebody with a browser, who has logged in with a token of Label Studio's; the administrator's where none is given."""

    def __init__(self, browser, house, viewport=DESK, scheme="light", token=""):
        self.url = f"http://127.0.0.1:{house.values['PORT']}"
        self.page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        self.page.set_default_timeout(30_000)
        self.complaints = []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        for _ in range(TRIES):
            self._log_in(token or house.values["LABEL_STUDIO_API_KEY"])
            if self._has_come():
                break
        assert self._has_come(), self.page.locator("main").inner_text()

    def _log_in(self, token):
        self.complaints.clear()
        self.page.goto(f"{self.url}/")  # asks to log in
        field = self.page.get_by_label("Personal access token")
        if field.count():
            field.fill(token)
            with self.page.expect_navigation():
                field.press("Enter")

    def _has_come(self):
        return self.page.get_by_role("heading", name="Projects").count() == 1

    def open(self, path):
        """Go to a page; returns its text."""
        for _ in range(TRIES):
            before = len(self.complaints)
            answer = self.page.goto(self.url + path)
            if answer.status != 502:
                break
            del self.complaints[before:]  # the browser's own, of that answer
        said = self.page.locator("main").inner_text()
        assert answer.ok, f"{path}: {answer.status}, {said}"
        return said
