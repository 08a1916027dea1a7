"""Predictions, and what an import of them keeps."""

from collections.abc import Callable
from xml.etree import ElementTree

from tests.label_studio_in_memory.rows import Row, Rows
from tests.label_studio_in_memory.serving import Refused, Request


class Predicting(Rows):
    """What a model gives."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: Callable[[Request], int] = lambda _: 0  # the status that an import of predictions gets, 0 for its own

    def _import_predictions(self, request: Request, project: int) -> Row:
        if status := self.refuses(request):
            raise Refused(status, "refused")
        known = set(self.task_ids(project))
        for sent in request.body:
            if sent.get("task") not in known:
                raise Refused(400, [f'{sent} contains invalid "task" field'])
        good = [sent for sent in request.body if self._is_valid(sent, project)]
        for sent in good:
            self._add_prediction(project, sent)
        return {"created": len(good)}

    def _is_valid(self, sent: Row, project: int) -> bool:
        """Whether an import keeps it. What it does not keep is dropped without a word."""
        choices = {e.get("alias") or e.get("value") for e in ElementTree.fromstring(self._config(project)).iter("Choice")}  # noqa: S314
        score = sent.get("score")
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            return False
        stored = [one for region in sent["result"] for one in region["value"][region["type"]]]
        return all(name in choices for one in stored for name in (one if isinstance(one, list) else [one]))

    def _config(self, project: int) -> str:
        return self.projects[project]["label_config"]

    def _add_prediction(self, project: int, sent: Row) -> Row:
        kept = {key: sent.get(key) for key in ("task", "result", "score")}
        return self._add(self.predictions, kept | {"model_version": sent.get("model_version", "undefined"), "project": project})

    def _create_prediction(self, request: Request) -> Row:
        return self._add_prediction(self._get(self.tasks, request.body["task"])["project"], request.body)

    def _change_prediction(self, request: Request, number: int) -> Row | None:
        row = self._get(self.predictions, number)
        if request.method == "DELETE":
            del self.predictions[number]
            return None
        row.update(request.body or {})
        return row

    def _delete_version(self, request: Request, project: int) -> Row:
        version, row = request.body["model_version"], self._get(self.projects, project)
        gone = [n for n, p in self.predictions.items() if p["project"] == project and p["model_version"] == version]
        for number in gone:
            del self.predictions[number]
        titles = {b["title"] for b in self.backends.values() if b["project"] == project}
        if row["model_version"] == version or row["model_version"] in titles:
            row["model_version"] = None
        return {"deleted_predictions": len(gone)}

    def _action(self, request: Request) -> Row:
        """The Data Manager's "Delete predictions", for all tasks, and "Create annotations from predictions", for some."""
        if request.query["id"] == "predictions_to_annotations":
            return self._annotate_by_predictions(request)
        if request.query["id"] != "delete_tasks_predictions":
            raise Refused(400, f"{request.query['id']} is not played here")
        gone = [n for n, p in self.predictions.items() if str(p["project"]) == request.query["project"]]
        for number in gone:
            del self.predictions[number]
        return {"processed_items": len(gone)}
