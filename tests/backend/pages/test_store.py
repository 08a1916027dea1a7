"""Pages where what is known of projects lies in an object store."""

from backend.pages.visit import House
from backend.project.sharing import projects_of
from backend.queue.redis_server import redis_url
from model.storage.documents_in_bucket import Haste


def test_while_the_store_is_away_a_page_says_so(browser, session, object_store, redis_settings, monkeypatch):
    settings = session.settings.model_copy(update={"store": object_store.new_folder(), "redis_url": redis_url(redis_settings)})
    monkeypatch.setattr(House, "projects", property(lambda _: projects_of(settings, Haste.SERVING)), raising=False)
    with object_store.away():
        answer = browser.http.get("/")
    assert (answer.status_code, "STORE=s3://" in answer.text) == (503, True)
