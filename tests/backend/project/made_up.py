"""Tasks and annotations as Label Studio lists them."""

from backend.labelstudio.labelling_config import parse_label_config
from tools.label_studio import label_config

TARGET = parse_label_config(label_config(["A", "B", "C"]))


def annotation(choice=None, **values):
    """An annotation as Label Studio lists it."""
    result = [] if choice is None else [{"from_name": "choice", "type": "choices", "value": {"choices": [choice]}}]
    return {"result": result, "was_cancelled": False, "ground_truth": False} | values


def task(number, *annotations, image="/a.jpg"):
    """A task as Label Studio lists it."""
    return {"id": number, "data": {"image": image}, "annotations": list(annotations)}
