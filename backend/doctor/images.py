"""An image's way: from where the task says it is, through the network, to the embedding that is kept of it."""

from typing import Any

import numpy as np

from backend.doctor.case import Patient
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.labelstudio.images import ImageSource
from backend.labelstudio.task_data import TaskDataError
from model.embeddings.images import ImageError, read
from model.networks.weights_file import WeightsError

TRIED = 3
ALIKE = 0.95  # cosine of an image's embedding with the one that is kept, which arithmetic moves by a thousandth


def fetched(patient: Patient) -> Finding:
    """An image of the project can be fetched and decoded, as a worker does."""
    page: list[dict[str, Any]] = next(iter(patient.label_studio.tasks(patient.number)), [])
    tasks = [page[place] for place in sorted({0, len(page) // 2, len(page) - 1})] if page else []
    images, problems = ImageSource(patient.settings, patient.label_studio), []
    try:
        for task in tasks:
            try:
                content = images.fetch(task["id"], patient.config.target.reference(task.get("data")))
                read(content, patient.settings.max_image_pixels)
            except (ImageError, TaskDataError) as error:
                problems.append(f"task {task['id']}: {error}")
            else:
                patient.photo = (task, content)
    finally:
        images.close()
    if not tasks:
        return ok("no task is there yet")
    if len(problems) == len(tasks):
        return wrong(f"none of {len(tasks)} that were tried can be read. {problems[0]}", "see what it says of that image")
    if problems:
        return warning(f"{len(problems)} of {len(tasks)} that were tried cannot be read. {problems[0]}", "`al-backend status`")
    return ok(f"{len(tasks)} of {len(tasks)} that were tried can be read")


def embedded(patient: Patient) -> Finding:
    """The network of the live version makes of that image what is kept of it."""
    if patient.photo is None:
        return ok("no task is there yet")
    from backend.project import embedding  # both bring torch
    from backend.project.session import Session
    from backend.records.state import NETWORKS

    task, content = patient.photo
    s = patient.settings
    try:
        with Session(s, patient.number) as session:
            session.use_config(patient.info["label_config"])
            spec = session.backbones.spec(session.backbone)
            backbone = embedding.get_backbone(spec, s.data_dir / NETWORKS)
            image = backbone.prepare(read(content, s.max_image_pixels, backbone.least_side).image)
            made = backbone.embed(image[None])[0]
            kept, found = session.store.get([session.as_row(task).key])
    except WeightsError as error:
        return wrong(str(error), "see to the weights, as BACKBONE and MODEL_WEIGHTS name them")
    if not np.isfinite(made).all():
        return wrong(f"{spec.network} makes no numbers of task {task['id']}", "see to its weights")
    if not found.all():
        return ok(f"{spec.network} makes {len(made)} numbers of task {task['id']}, of which none are kept yet")
    alike = float(np.dot(made, kept[0]) / max(np.linalg.norm(made) * np.linalg.norm(kept[0]), 1e-12))
    if alike < ALIKE:
        return wrong(
            f"{spec.network} makes of task {task['id']} something else than is kept of it (cosine {alike:.2f})",
            f"see whether its image was replaced; if not, remove {session.documents.place('embeddings')} and start "
            "`al-backend up` again: all images are embedded anew",
        )
    return ok(f"{spec.network} makes of task {task['id']} what is kept of it")
