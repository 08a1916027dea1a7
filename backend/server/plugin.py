"""The model behind Label Studio's /predict: live version, cached embeddings, always one result for each task.

Importing this imports torch; the server does so on its first /predict, never on a webhook.
"""

import logging
from typing import Any

import numpy as np
from label_studio_ml.model import LabelStudioMLBase

from backend.index.listed import task_id
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.learning.places import LAST
from backend.learning.rounds import place_outside_queue
from backend.project.embedding import embed
from backend.project.session import Session
from backend.queue.redis_server import connect_redis
from backend.queue.work import Work
from backend.server.bodies import NO_RESULT, BadRequest, project_id
from backend.settings import Settings, get_settings
from model.networks.weights_file import WeightsError
from model.storage.bucket import StoreUnavailable
from model.storage.documents_in_bucket import Haste
from model.version_store import NO_VERSION, Version, VersionError

log = logging.getLogger(__name__)
SECONDS = 70  # Label Studio waits 100 s for /predict; an image may take IMAGE_SECONDS more


class ActiveLearningBackend(LabelStudioMLBase):
    """label-studio-ml's interface: `predict` and `fit`.

    Works in our own server and, one project at a time, in the one that label-studio-ml brings.
    """

    def __init__(
        self, label_config: str | None = None, train_output: Any = None, settings: Settings | None = None, **kwargs: Any
    ) -> None:
        super().__init__(None, train_output, **kwargs)  # without the config: its parser refuses some that ours takes
        self.label_config = label_config
        self.settings = settings or get_settings()

    def predict(self, tasks: list[Any], **_: Any) -> list[dict[str, Any]]:
        """One dict for each task: `result` (choices; region score = class probability), `score` (place in the queue, in
        [0.5, 1], low first) and `model_version`. A task that is none, or whose image cannot be read, gets an empty result and
        the last place. Raises LabelConfigError, StoreUnavailable."""
        if self.label_config:
            parse_label_config(self.label_config)
        positions: dict[int, list[int]] = {}
        for position, task in enumerate(tasks):
            if (project := _project(task)) is not None:
                positions.setdefault(project, []).append(position)
        results = [NO_RESULT] * len(tasks)
        for project, mine in positions.items():
            predicted = self._predict_project(project, [tasks[position] for position in mine])
            for position, result in zip(mine, predicted, strict=True):
                results[position] = result
        return results

    def _predict_project(self, project: int, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Results for tasks of one project; what goes wrong there costs no other project."""
        try:
            with Session(self.settings, project, haste=Haste.SERVING) as session:
                session.use_config(self.label_config)
                return _predict(session, tasks)
        except (LabelConfigError, StoreUnavailable):
            raise
        except (LabelStudioError, WeightsError) as error:
            log.error("Project %s: %s", project, error)
            return [NO_RESULT] * len(tasks)
        except Exception:
            log.exception("Project %s: /predict failed; its %d tasks get the last place", project, len(tasks))
            return [NO_RESULT] * len(tasks)

    def fit(self, tasks: Any, workdir: Any = None, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        """Called by label-studio-ml's own server on a webhook: treated as ours treats it. Returns what was enqueued."""
        from backend.server.events import handle

        payload = {"action": kwargs.get("event"), **(kwargs.get("data") or {})}
        return handle(payload, self.settings, Work(connect_redis(self.settings), self.settings.retrain_after))


def _predict(session: Session, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    live = _live(session)
    name = live.name if live else NO_VERSION
    embeddings, found = _embeddings(session, tasks)
    ids = np.array([task_id(task) for task in tasks], np.int64)
    strategy = live.strategy if live else "random"
    places, probabilities = place_outside_queue(live.head if live else None, ids, embeddings, strategy, name)
    results = []
    for row, readable in enumerate(found):
        result = []
        if readable and live and probabilities is not None:
            result = session.target.guess(probabilities[row])
        place = float(places[row]) if readable else LAST
        results.append({"result": result, "score": place, "model_version": name})
    return results


def _live(session: Session) -> Version | None:
    """The version the queue follows, as long as it fits the labelling config and the backbone."""
    try:
        live = session.versions.load(session.state.live) if session.state.live else None
    except VersionError as error:
        log.warning("%s", error)
        return None
    return live if live and session.fits(live) else None


def _embeddings(session: Session, tasks: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, D) and which of them could be had, bool (N,); those not in the store are made and kept."""
    rows = [session.as_row({"id": task_id(task), "data": task.get("data")}) for task in tasks]
    keys = [row.key for row in rows]
    missing = set(session.store.missing(keys))
    try:
        embed(session, list({row.key: row for row in rows if row.reference and row.key in missing}.values()), SECONDS)
    except StoreUnavailable:
        raise
    except (LabelStudioError, WeightsError) as error:
        log.error("Project %s: %s", session.project, error)
    except Exception:
        log.exception("Project %s: images could not be embedded", session.project)
    values, found = session.store.get(keys)
    if not found.all():
        log.warning("Project %s: %d of %d images have no prediction", session.project, (~found).sum(), len(tasks))
    return values, found


def _project(task: Any) -> int | None:
    """The project of a task, None where it is no task that can be predicted."""
    if not isinstance(task, dict) or task_id(task) is None:
        return None
    try:
        return project_id(task.get("project"))
    except BadRequest:
        return None
