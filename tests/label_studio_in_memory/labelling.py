"""Projects, tasks and annotations, and which task is served next."""

import json
from collections import Counter
from datetime import datetime

from tests.label_studio_in_memory.rows import Row, Rows, now
from tests.label_studio_in_memory.serving import Refused, Request


class Labelling(Rows):
    """What people do."""

    def _project(self, _: Request, project: int) -> Row:
        tasks = [t for t in self.tasks.values() if t["project"] == project]
        given = [a for a in self.annotations.values() if a["project"] == project and not a["was_cancelled"]]
        counts = {"task_number": len(tasks), "total_annotations_number": len(given)}
        return self._get(self.projects, project) | counts

    def _patch_project(self, request: Request, project: int) -> Row:
        row, version = self._get(self.projects, project), request.body.get("model_version")
        named = {b["title"] for b in self.backends.values() if b["project"] == project} | set(self._versions(request, project))
        if version and version != row["model_version"] and version not in named:
            text = "Model version doesn't exist either as live model or as static predictions."
            raise Refused(400, {"model_version": [text]})
        if request.body.get("show_collab_predictions") is False:
            row["model_version"] = ""
        row.update(request.body)
        if "maximum_annotations" in request.body:
            for task in self.task_ids(project):
                self.tasks[task] |= {"overlap": row["maximum_annotations"], "needed": row["maximum_annotations"]}
        self._send_event(project, "PROJECT_UPDATED")
        return row

    def _delete_project(self, _: Request, project: int) -> None:
        self._get(self.projects, project)
        del self.projects[project]
        for rows in (self.tasks, self.annotations, self.predictions, self.backends, self.webhooks, self.views):
            for number in [n for n, row in rows.items() if row["project"] == project]:
                del rows[number]

    def _add_task(self, project: int, data: Row) -> Row:
        overlap = self.projects[project]["maximum_annotations"]
        fields = {"project": project, "data": data, "updated_at": now(), "overlap": overlap, "needed": overlap}
        return self._add(self.tasks, fields)

    def _import_tasks(self, request: Request, project: int) -> Row:
        made = [self._add_task(project, task.get("data", task))["id"] for task in request.body]
        return {"task_count": len(made), "task_ids": made}

    def _task(self, _: Request, task: int) -> Row:
        row = self._get(self.tasks, task)
        return row | {
            "annotations": [a for a in self.annotations.values() if a["task"] == task],
            "predictions": [p for p in self.predictions.values() if p["task"] == task],
            "is_labeled": self._is_labelled(task),
        }

    def _change_task(self, request: Request, task: int) -> Row | None:
        """A new overlap counts from the next answer on, and at once where `is_labeled` is said to be false."""
        if request.method == "DELETE":
            return self._delete_task(request, task)
        row = self._get(self.tasks, task)
        row.update({name: value for name, value in request.body.items() if name in ("overlap", "data")})
        row["updated_at"] = now()
        if request.body.get("is_labeled") is False:
            row["needed"] = row["overlap"]
        return self._task(request, task)

    def _list_tasks(self, request: Request) -> Row:
        self._get(self.projects, int(request.query["project"]))
        query = json.loads(request.query.get("query", "{}"))
        tasks = [t for t in self.tasks.values() if str(t["project"]) == request.query["project"]]
        for item in query.get("filters", {}).get("items", []):
            if (item["filter"], item["operator"]) == ("filter:tasks:id", "in_list"):
                tasks = [t for t in tasks if t["id"] in item["value"]]
                continue
            if (item["filter"], item["operator"]) == ("filter:tasks:id", "in"):
                tasks = [t for t in tasks if item["value"]["min"] <= t["id"] <= item["value"]["max"]]
                continue
            if (item["filter"], item["operator"]) == ("filter:tasks:predictions_model_versions", "contains"):
                named = [p for p in self.predictions.values() if any(name in p["model_version"] for name in item["value"])]
                tasks = [t for t in tasks if t["id"] in {p["task"] for p in named}]
                continue
            assert (item["filter"], item["operator"]) == ("filter:tasks:updated_at", "greater"), item
            since = datetime.fromisoformat(item["value"])
            tasks = [t for t in tasks if datetime.fromisoformat(t["updated_at"]) > since]
        if query.get("ordering") == ["-tasks:id"]:
            tasks = tasks[::-1]
        size, page = int(request.query.get("page_size", 100)), int(request.query.get("page", 1))
        part = tasks[(page - 1) * size : page * size]
        if not part and page > 1:
            raise Refused(404, "Invalid page.")
        if request.query.get("include") != "id" and any(map(_cannot_be_encoded, part)):
            raise Refused(500, "'utf-8' codec can't encode character")
        return {"tasks": [self._task(request, task["id"]) for task in part], "total": len(tasks)}

    def _delete_task(self, _: Request, task: int) -> None:
        self._get(self.tasks, task)
        del self.tasks[task]
        for rows in (self.annotations, self.predictions):
            for number in [n for n, row in rows.items() if row["task"] == task]:
                del rows[number]

    def _annotate(self, task: int, body: Row) -> Row:
        row = self._get(self.tasks, task)
        row["updated_at"] = now()
        made = {"was_cancelled": False, "ground_truth": False, "completed_by": 1, "import_id": None, "lead_time": None}
        made |= {"created_at": now(), "updated_at": now()}
        row["needed"] = row["overlap"]
        return self._add(self.annotations, made | body | {"task": task, "project": row["project"]})

    def _annotate_by_predictions(self, request: Request) -> Row:
        """Predictions of one version become annotations of whoever asks, each only once."""
        chosen, made = set(request.body["selectedItems"]["included"]), 0
        there = {a.get("parent_prediction") for a in self.annotations.values()}
        for prediction in list(self.predictions.values()):
            wanted = prediction["task"] in chosen and prediction["model_version"] == request.body["model_version"]
            if wanted and prediction["id"] not in there:
                body = {"result": prediction["result"], "completed_by": self.person_id(request)}
                self._annotate(prediction["task"], body | {"parent_prediction": prediction["id"]})
                made += 1
        return {"response_code": 200, "detail": f"Created {made} annotations"}

    def _change_annotation(self, request: Request, number: int) -> Row | None:
        row = self._get(self.annotations, number)
        self.tasks[row["task"]]["updated_at"] = now()
        if request.method == "DELETE":
            del self.annotations[number]
            return None
        row.update((request.body or {}) | ({"updated_at": now()} if request.method == "PATCH" else {}))
        return row

    def _is_labelled(self, task: int) -> bool:
        """Whether as many people have answered as are wanted."""
        given = {a["completed_by"] for a in self.annotations.values() if a["task"] == task and not a["was_cancelled"]}
        return len(given) >= self.tasks[task]["needed"]

    def _next(self, request: Request, project: int) -> Row:
        """What the token's user is served: there are no locks here. Tasks that others have begun come first where the project
        wants several people; the real one draws among these at random."""
        row, me = self._get(self.projects, project), self.person_id(request)
        mine = {a["task"] for a in self.annotations.values() if a["completed_by"] == me}
        open_tasks = [t for t in self.task_ids(project) if t not in mine and not self._is_labelled(t)]
        begun = Counter(a["task"] for a in self.annotations.values() if a["task"] in open_tasks)
        if begun and row["maximum_annotations"] > 1:
            return self._task(request, begun.most_common(1)[0][0])
        if row["sampling"] == "Uncertainty sampling":
            live = [
                p for p in self.predictions.values() if p["model_version"] == row["model_version"] and p["task"] in open_tasks
            ]
            live.sort(key=lambda p: (p["score"] is not None, p["score"]))
            # the real one draws at random where it has no prediction to follow: here it is the last, which no order gives
            open_tasks = [p["task"] for p in live] or open_tasks[::-1]
        if not open_tasks:
            raise Refused(404, "No more annotations.")
        return self._task(request, open_tasks[0])


def _cannot_be_encoded(task: Row) -> bool:
    """Whether its data hold half of a UTF-16 pair, over which Label Studio fails to answer for the whole page."""
    return any("\ud800" <= letter <= "\udfff" for letter in json.dumps(task["data"], ensure_ascii=False))
