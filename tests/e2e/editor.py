"""Label Studio's labelling page in a real browser, used by keyboard alone."""

import re

from playwright.sync_api import TimeoutError as PageTimeout

TRIES = 3  # of a key
SHOWN = "name => [...document.querySelectorAll('label')].some(label => label.textContent.trim().startsWith(name))"
TICKED = """classes => classes.filter(name => [...document.querySelectorAll('input:checked')].some(
    input => input.closest('label')?.textContent.trim().startsWith(name)))"""


def label_studio_page(browser, house, annotator, path, wanted):
    """A page of Label Studio's as `annotator` sees it, once it shows `wanted`, a selector; loaded again where that does not
    come, as people do: on a busy machine one of the page's many requests may fail."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_cookies([{"name": c.name, "value": c.value, "url": house.admin.url} for c in annotator._http.cookies.jar])
    page = context.new_page()
    page.set_default_timeout(60_000)
    for _ in range(TRIES):
        try:
            page.goto(f"{house.admin.url}{path}")
            page.locator(wanted).first.wait_for()
        except PageTimeout:
            continue
        return page
    raise AssertionError(f"{path} does not show {wanted}: {page.locator('body').inner_text()[:500]}")


class Editor:
    """Someone in front of "Label All Tasks", with the keyboard alone."""

    def __init__(self, browser, house, annotator, project, classes):
        start = "role=button[name='Label All Tasks']"
        self.page = label_studio_page(browser, house, annotator, f"/projects/{project}/data", start)
        self._classes = classes
        self.task = None
        self.page.on("response", self._note)
        self.page.locator(start).click()
        self._wait_for_task(None)

    def _note(self, response):
        if re.search(r"/next\b|action.*next_task", response.url) and response.ok:
            self.task = response.json()

    def _wait_for_task(self, before):
        """Wait until another task is open in the editor."""
        for _ in range(300):
            self.page.wait_for_timeout(200)
            if self.task and self.task["id"] != before:
                break
        assert self.task
        assert self.task["id"] != before
        self.page.wait_for_function(SHOWN, arg=self._classes[0])
        if any(prediction["result"] for prediction in self.task["predictions"]):
            self._wait_until(lambda: self.ticked)  # the pre-annotation is copied into the answer
        self.page.wait_for_timeout(1500)  # keys that are pressed while the editor still loads are lost

    def _wait_until(self, condition):
        """Wait, at most 20 s, until the page shows what `condition` looks for."""
        for _ in range(100):
            self.page.wait_for_timeout(200)
            if condition():
                return

    @property
    def ticked(self):
        """The classes that are ticked."""
        return self.page.evaluate(TICKED, self._classes)

    @property
    def can_submit(self):
        """Whether the button Submit is not greyed."""
        return self.page.locator("button[name=submit]").is_enabled()

    def press(self, choice):
        """Press the hotkey of a class, again where the editor has not heard it."""
        before = self.ticked
        for _ in range(TRIES):
            self.page.keyboard.press(str(self._classes.index(choice) + 1))
            self._wait_until(lambda: self.ticked != before)
            if self.ticked != before:
                break

    def try_to_submit(self):
        """Press Ctrl+Enter where it must do nothing."""
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(2000)

    def submit(self):
        """Press Ctrl+Enter, again where Label Studio asks to ("database is locked", on sqlite), and wait for the next task."""
        before = self.task["id"]
        for _ in range(TRIES):
            self._wait_until(lambda: self.can_submit)
            self.page.keyboard.press("Control+Enter")
            self._wait_until(lambda: self.task["id"] != before)
            if self.task["id"] != before:
                break
        self._wait_for_task(before)
