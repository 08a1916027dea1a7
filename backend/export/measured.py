"""By how much an exported network and the product differ on the project's own images: the one computes in float32, the other
perhaps in bfloat16 or float16, and keeps embeddings in float16."""

import io
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from backend.index.tasks import TaskArrays
from backend.labelstudio.client import LabelStudioError
from backend.project.references import References
from backend.project.session import Session
from model.embeddings.images import ImageError, read
from model.heads.head import Head
from model.measuring.set_metrics import predicted_sets
from model.plain import predict
from model.plain.network import Plain

IMAGES = 12  # that are looked at


@dataclass
class Measured:
    """largest: difference of a probability on `images`; same: how many have the same class; images: as the network takes them,
    uint8 (H, W, 3) each."""

    largest: float = 0.0
    same: int = 0
    images: list[NDArray[np.uint8]] = field(default_factory=list)


def measure_difference(session: Session, every: TaskArrays, plain: Plain, head: Head) -> Measured:
    """Compare the probabilities that the product computes from the kept embeddings of some tasks with those of `plain` for the
    same images. Images that cannot be had are left out."""
    measured = Measured()
    embedded = every.tasks[session.store.has(every.keys)]
    rows = session.index.rows_of(embedded[:: max(1, len(embedded) // IMAGES)][:IMAGES].tolist())
    embeddings, found = session.store.get([row.key for row in rows])
    references = References(session, rows)
    for done, (row, embedding, is_there) in enumerate(zip(rows, embeddings, found, strict=True), 1):
        session.progress("comparing with the product", done, len(rows))
        if not is_there:
            continue
        try:
            content = session.images.fetch(row.task, references.of(row))
            if read(content, session.settings.max_image_pixels).note:  # cut off: here it is read in part, elsewhere not
                continue
            pixels = predict.read(io.BytesIO(content), plain.about["preprocessing"])
        except (ImageError, LabelStudioError, OSError, ValueError, SyntaxError):
            continue
        with torch.inference_mode():
            outside = plain.classifier(pixels[None]).numpy()[0]
        inside = head.probabilities(embedding[None])[0]
        measured.largest = max(measured.largest, float(np.abs(outside - inside).max()))
        if head.independent:
            measured.same += int((predicted_sets(outside) == predicted_sets(inside)).all())
        else:
            measured.same += int(outside.argmax() == inside.argmax())
        measured.images.append(pixels.numpy())
    return measured
