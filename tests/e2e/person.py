"""The pages in a real browser."""

DESK, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 780}


class Person:
    """Somebody with a browser, who has logged in with a token of Label Studio's; the administrator's where none is given."""

    def __init__(self, browser, house, viewport=DESK, scheme="light", token=""):
        self.url = f"http://127.0.0.1:{house.values['PORT']}"
        self.page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        self.page.set_default_timeout(30_000)
        self.complaints = []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.goto(f"{self.url}/")  # asks to log in
        self.page.get_by_label("Personal access token").fill(token or house.values["LABEL_STUDIO_API_KEY"])
        self.page.get_by_label("Personal access token").press("Enter")
        self.page.get_by_role("heading", name="Projects").wait_for()

    def open(self, path):
        """Go to a page; returns its text."""
        for _ in range(3):
            answer = self.page.goto(self.url + path)
            if answer.status != 502:  # Label Studio did not answer: on a busy machine it may take longer than a page waits
                break
        said = self.page.locator("main").inner_text()
        assert answer.ok, f"{path}: {answer.status}, {said}"
        return said
