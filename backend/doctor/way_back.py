"""How Label Studio reaches the plugin: past its guard, as an ML backend, and by a webhook that arrives in time."""

import time

from backend import __version__
from backend.connection.checks import CONNECTED
from backend.connection.differences import backend_differences, twin_differences, webhook_differences
from backend.doctor.case import Patient
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.labelstudio.installation import refuses_private_address
from backend.labelstudio.wiring import SSRF_ADVICE, webhook_host_trouble
from backend.queue.signs import heard

ARRIVAL_SECONDS = 5.0  # in which an event must arrive; Label Studio gives a webhook 1 s, inside the annotator's own request
SLOW_SECONDS = 1.5  # from which on a change of nothing takes annoyingly long
WEBHOOK_ADVICE = "see that nothing between Label Studio and the plugin, as a proxy or a firewall, keeps it back"


def private_addresses(patient: Patient) -> Finding:
    """Label Studio may call BACKEND_URL: the two settings about private addresses, and the host's name."""
    url = patient.settings.backend_url
    if trouble := webhook_host_trouble(url):
        return wrong(trouble, "set BACKEND_URL so")
    refusal = refuses_private_address(patient.label_studio, patient.number, url)
    if "resolve hostname" in refusal:
        return wrong(
            f"Label Studio does not know the host in BACKEND_URL={url}",
            "set BACKEND_URL to a name that Label Studio's machine or container knows",
        )
    if refusal:
        return wrong(f"Label Studio's guard refuses BACKEND_URL={url}", _in_one_line(SSRF_ADVICE))
    return ok(f"Label Studio may call {url}")


def ml_backend(patient: Patient) -> Finding:
    """Ours is registered, and well as Label Studio sees it."""
    wiring = patient.wiring
    missing = backend_differences(wiring, patient.backends)
    if missing:
        return wrong(missing[0].seen, patient.fixing, lambda: patient.rewire("put_backend"))
    row = next(row for row in patient.backends if row["url"].rstrip("/") == wiring.url)
    state = row.get("state", CONNECTED)
    if state != CONNECTED:
        why = " ".join(str(row.get("error_message") or "").split()) or "nobody answers it there in time"
        return wrong(
            f"Label Studio does not get on with it ({row.get('readable_state') or state}): {why[:300]}",
            f"{patient.fixing}; if it stays, set BACKEND_URL to an address that Label Studio's machine or container reaches",
            lambda: patient.rewire("put_backend"),
        )
    return ok(f"Label Studio finds it well at {wiring.url}")


def alone(patient: Patient) -> Finding:
    """No other ML backend works on the project."""
    twins = twin_differences(patient.wiring, patient.backends)
    if twins:
        return wrong(twins[0].seen, twins[0].step)
    wiring = patient.wiring
    ours = [row for row in patient.backends if wiring.owns_backend(row)]
    if len(ours) > 1:
        return warning(
            f"it stands there {len(ours)} times", f"`al-backend connect --project {patient.number}` leaves one of them"
        )
    others = [row["url"] for row in patient.backends if not wiring.owns_backend(row)]
    if others:
        return warning(
            f"somebody else's ML backend stands at {others[0]}: where the project's model version is set to it, the queue ends",
            "delete it under Settings > Model, if nobody needs it",
        )
    return ok("no other ML backend")


def webhook(patient: Patient) -> Finding:
    """It is there, active, reports everything, and has our credentials."""
    found = webhook_differences(patient.wiring)
    if found:
        return wrong(found[0].seen, patient.fixing, lambda: patient.rewire("put_webhook"))
    return ok(f"active, {'with' if patient.settings.credentials else 'without'} credentials, to {patient.wiring.webhook_url}")


def event(patient: Patient) -> Finding:
    """A change of nothing, of which Label Studio sends an event all the same, reaches the server in time."""
    redis = patient.house.redis
    before, _ = heard(redis, patient.number)
    began = time.monotonic()
    patient.label_studio.patch_project(patient.number)
    took = time.monotonic() - began
    while (now := heard(redis, patient.number))[0] == before and time.monotonic() - began < took + ARRIVAL_SECONDS:
        time.sleep(0.05)
    moment, version = now
    if moment == before:
        return wrong("Label Studio's event did not reach the server", WEBHOOK_ADVICE)
    if version != __version__:
        return wrong(
            f"the server is of version {version}, this command is {__version__}",
            "end every `al-backend up` and `serve`, and start them again from one installation",
        )
    if took > SLOW_SECONDS:
        return warning(f"it arrived, and the change took {took:.1f} s: a Submit takes as long", WEBHOOK_ADVICE)
    return ok(f"arrived within {took:.2f} s, Label Studio's own work included")


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
