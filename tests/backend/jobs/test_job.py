"""How a job's failure is told and tried again."""

import signal
import time

import pytest
from rq import Queue, Retry, SimpleWorker
from rq.worker import WorkerStatus

from backend.index.index_file import IndexLost
from backend.jobs import job as module
from backend.jobs.job import BACK_OFF, TryLater, perform
from backend.jobs.round import run_round
from backend.labelstudio.client import LabelStudioError
from backend.project.sharing import projects_of
from backend.queue.redis_server import redis_url
from backend.queue.signs import SERVER, announce
from backend.queue.work import TRAIN
from model.storage.bucket import Changed, StoreUnavailable
from model.storage.documents_in_bucket import AWAY_SECONDS, Haste
from tests.label_studio_in_memory import Fault


def do(place, body, kind="round"):
    """Perform `body` as a job."""
    return perform(kind, place.project, 0, body)


def failing(error):
    """A job's work that fails."""

    def body(_):
        raise error

    return body


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
def test_while_label_studio_is_out_of_order_a_job_waits_without_failing(place, status):
    answer = do(place, failing(LabelStudioError("down", status, passing=True)))
    assert isinstance(answer, Retry)
    assert answer.intervals == [BACK_OFF[0]]


def test_label_studio_is_left_alone_for_as_long_as_it_asks(place):
    error = LabelStudioError("Too many requests", 429, passing=True, again_in=45.2)
    assert do(place, failing(error)).intervals == [46]


def test_a_worker_that_does_not_fit_leaves_a_job_that_it_took_to_another(place):
    place.work.redis.hset(SERVER, "version", "0.1.0")
    assert isinstance(do(place, lambda _: pytest.fail("it began")), Retry)
    assert "waits: the worker that took it must not: it is of version" in place.state.last_error
    announce(place.work.redis, "")
    assert do(place, lambda _: "done") == "done"
    assert place.state.last_error == ""


def test_an_index_that_was_replaced_makes_a_job_begin_again(place):
    assert isinstance(do(place, failing(IndexLost("damaged"))), Retry)


def test_how_often_a_job_was_put_off_is_kept_and_outages_do_not_count(place, monkeypatch):
    job_id = place.work.wake("round", place.project)
    monkeypatch.setattr(module, "get_current_job", lambda: place.work.job(job_id))
    for error in (LabelStudioError("down", 503, passing=True), TryLater("images"), IndexLost("damaged"), TryLater("images")):
        do(place, failing(error))
    assert do(place, lambda at: at.put_off) == 2


def test_while_its_worker_stops_a_job_does_not_wait_for_label_studio(place, monkeypatch):
    job_id = place.work.wake("round", place.project)
    worker = SimpleWorker([Queue(TRAIN, connection=place.work.redis)], connection=place.work.redis)
    monkeypatch.setattr(module, "get_current_job", lambda: job)
    job = place.work.job(job_id)
    job.worker_name = worker.name
    worker.set_state(WorkerStatus.BUSY)

    def patient(at):
        return at.session.label_studio.patient()

    assert do(place, patient)
    monkeypatch.setattr("rq.worker.base.signal.signal", lambda *_: None)  # else it would be this process that stops
    worker.request_stop(signal.SIGTERM, None)
    assert not do(place, patient)
    place.work.redis.delete(worker.key)
    assert do(place, patient)


def test_an_outage_is_told_once(place, caplog):
    for _ in range(3):
        do(place, failing(LabelStudioError("down", 502, passing=True)))
    assert sum("down" in record.message for record in caplog.records) == 1
    assert "waits: down" in place.state.last_error


def test_an_error_is_raised_for_rq_to_try_again_and_told(place):
    with pytest.raises(KeyError):
        do(place, failing(KeyError("odd")))
    assert "round: 'odd'" in place.state.last_error


def test_an_error_is_forgotten_once_its_kind_of_job_works_again(place):
    do(place, failing(LabelStudioError("down", 502, passing=True)))
    do(place, failing(LabelStudioError("down", 502, passing=True)), "embed")
    do(place, lambda _: None, "embed")
    assert list(place.state.errors) == ["round"]
    do(place, lambda _: None)
    assert place.state.last_error == ""


def test_a_config_that_asks_for_something_else_is_not_tried_again(place):
    place.studio.projects[place.project]["label_config"] = "<View><Text name='t' value='$t'/></View>"
    assert place.run(run_round) is None
    assert "round: " in place.state.last_error


def test_a_deleted_project_is_let_go(place):
    place.studio.projects.clear()
    assert place.run(run_round) is None
    assert not place.state.connected
    assert "gone from Label Studio" in place.state.last_error


def test_a_404_of_something_else_does_not_let_the_project_go(place):
    with pytest.raises(LabelStudioError):
        do(place, failing(LabelStudioError("no such task", 404)))
    assert place.state.connected


def test_a_404_from_something_that_is_no_label_studio_lets_nothing_go(place):
    place.studio.faults.append(Fault("GET", "/api/projects", 404, times=9))
    with pytest.raises(LabelStudioError):
        place.run(run_round)
    assert place.state.connected


def test_a_success_clears_failed_jobs_away(place):
    job = place.work.job(place.work.wake("round", place.project))
    job.failed_job_registry.add(job)
    do(place, lambda _: None)
    assert place.work.job(job.id) is None


@pytest.mark.parametrize(
    "error", [StoreUnavailable("STORE=s3://x does not answer"), Changed("s3://x/y was written: try again")]
)
def test_while_the_store_is_out_of_reach_a_job_waits_without_failing(place, error):
    assert isinstance(do(place, failing(error)), Retry)
    assert f"waits: {error}" in place.state.last_error
    do(place, lambda _: None)
    assert place.state.last_error == ""


def test_that_it_cannot_be_noted_how_a_job_went_takes_seconds_and_fails_nothing(object_store, make_settings, redis_settings):
    settings = make_settings(store=object_store.new_folder(), redis_url=redis_url(redis_settings))
    report = module._Report(projects_of(settings, Haste.HURRIED), 1, "round")
    report.later("Label Studio is down")
    with object_store.away():
        began = time.monotonic()
        assert isinstance(report.later("the store is away"), Retry)
        report.worked()
        assert time.monotonic() - began < 20
    time.sleep(AWAY_SECONDS)
    report.worked()
    assert report.projects.read(1).errors == {}
