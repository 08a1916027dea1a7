"""A Label Studio of one's own, on sqlite, for the demo and the tests: what the benchmark has of it, under the name they use."""

from backend.bench.label_studio import (
    PASSWORD,
    USER,
    LabelStudioServer,
    anonymous_names,
    csrf,
    find_or_make_project,
    import_images,
    label_config,
    login,
    name_of,
    sign_up,
    wait_for_tasks,
)

__all__ = [
    "PASSWORD",
    "USER",
    "LabelStudioServer",
    "anonymous_names",
    "csrf",
    "find_or_make_project",
    "import_images",
    "label_config",
    "login",
    "name_of",
    "sign_up",
    "wait_for_tasks",
]
