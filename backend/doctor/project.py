"""A project: it is there, connected, without a failing job; and what its labelling config asks of annotators."""

from functools import partial

from backend.connection.differences import setting_differences
from backend.doctor.case import House, Patient
from backend.doctor.finding import WARNING, WRONG, Finding, ok, warning, wrong
from backend.index.moments import moment_of
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.queue.sightings import sighted, trouble_with


def connected_ones(house: House) -> Finding:
    """Which projects are connected, those included of which nobody can tell; and which were added by hand alone."""
    states = {number: house.projects.read(number) for number in house.projects.ids()}
    house.numbers = [number for number, state in states.items() if state.connected or state.errors]
    by_hand = [number for number in sighted(house.redis) if number not in house.numbers]
    if by_hand:
        return warning(
            f"somebody added this backend to project {by_hand[0]} by hand, and it is not connected"
            + (f": {trouble}" if (trouble := trouble_with(house.redis, by_hand[0])) else ""),
            f"`al-backend connect --project {by_hand[0]}` adds what that lacks",
        )
    if not house.numbers:
        return warning("none is connected", "`al-backend connect --project ID`")
    return ok(f"connected: {', '.join(map(str, house.numbers))}")


def there(patient: Patient) -> Finding:
    """Label Studio knows the project, and it is the one that is known here."""
    number = patient.number
    try:
        info = patient.info
    except LabelStudioError as error:
        if not patient.is_gone(error):
            raise
        return wrong(
            "Label Studio has no such project, or the token's user may not see it",
            f"take the number in the project's address; `al-backend forget --project {number}` removes what is kept of one "
            "that was deleted",
        )
    known, found = moment_of(patient.state.created_at), moment_of(info["created_at"])
    if known and found and known != found:
        return wrong(
            "it is another project than the one known here under that number",
            f"`al-backend connect --project {number}` begins anew",
        )
    return ok(f"{info['title']!r}, {info['task_number']} tasks")


def connected(patient: Patient) -> Finding:
    """It was connected, and has a queue."""
    state, connect = patient.state, f"`al-backend connect --project {patient.number}`"
    if not state.connected:
        return wrong(state.last_error or "it is not connected", connect)
    if not state.live:
        return wrong("it has no queue yet", f"wait for the first one, as `al-backend status` shows; if none comes, {connect}")
    if state.paused:
        return ok(f"yes, and paused: its queue stays with {state.live} until `al-backend resume --project {patient.number}`")
    return ok("yes")


def jobs(patient: Patient) -> Finding:
    """No kind of job fails."""
    if error := patient.state.last_error:
        return wrong(error, "do what it says; the job then tries again by itself")
    return ok("none fails")


def labelling_config(patient: Patient) -> Finding:
    """It has a question that can be learned, the one that the live version has learned."""
    try:
        config = patient.config
    except LabelConfigError as error:
        return wrong(str(error), "change it under Settings > Labeling Interface")
    target, state = config.target, patient.state
    if state.live and state.target and target.as_dict() != state.target:
        seen = f"{config.control} asks something else than {state.live} has learned"
        if state.paused:
            return warning(seen, f"`al-backend resume --project {patient.number}`, when it is to learn again")
        return warning(seen, f"wait for the next round, or {patient.fixing}", patient.learn)
    return ok(f"{config.control}: {len(target.classes)} classes")


def required(patient: Patient) -> Finding:
    """No answer can be sent without the choice that is learned, where other controls would let it pass."""
    config = patient.config
    rivals = [control for control in config.others if control.tag != "Header"]
    if config.control.required:
        return ok(f"{config.control} is")
    if config.target.may_be_empty:
        return ok(f"nothing ticked in {config.control} is an answer: none of its classes")
    if not rivals:
        return ok(f"{config.control} is the only control")
    return warning(
        f'{config.control} has no required="true", and Label Studio refuses an answer only where all controls are empty: a '
        "hotkey that unticks its pre-annotation erases a label",
        'add required="true" to it under Settings > Labeling Interface',
    )


def hotkeys(patient: Patient) -> Finding:
    """A hotkey that unticks a pre-annotation leads to no empty answer."""
    may_be_empty = bool(patient.state.target.get("empty"))
    well = "empty answers mean none of the classes" if may_be_empty else "empty answers are refused"
    return _setting(patient, "empty answers", "enable_empty_annotation", may_be_empty, well, WRONG)


def training(patient: Patient) -> Finding:
    """No Submit waits for a training."""
    return _setting(patient, "training", "min_annotations_to_start_training", 0, "no Submit starts one", WARNING)


def _setting(patient: Patient, kind: str, name: str, wanted: object, well: str, state: str) -> Finding:
    """A setting of the project that `connect` makes `wanted`."""
    for difference in setting_differences(patient.info, bool(patient.state.target.get("empty"))):
        if difference.kind == kind:
            fix = partial(patient.label_studio.patch_project, patient.number, **{name: wanted})
            return Finding(state, difference.seen, patient.fixing, fix)
    return ok(well)
