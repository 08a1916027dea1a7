"""Every way to break one link of a healthy house, and what `doctor` is to say of it."""

from datetime import timedelta
from pathlib import Path

import numpy as np
from pydantic import SecretStr
from rq.utils import now, utcformat

from backend.bench.child import free_port
from backend.bench.label_studio import label_config
from backend.doctor import plugin, queues, way_back
from backend.doctor.finding import WARNING, WRONG
from backend.labelstudio.wiring import TITLE
from backend.project import embedding
from backend.queue.signs import UNFIT, VERSION
from model.networks.weights_file import WeightsError
from tests.backend.jobs.made_up import Colours
from tests.label_studio_in_memory import TOKEN, Refused

TWO = label_config(["ants", "bees"]).replace(
    "</View>", '<Choices name="light" toName="image"><Choice value="day"/></Choices></View>'
)


class Other(Colours):
    """A network with other weights."""

    def embed(self, images):
        return np.roll(super().embed(images), 7, axis=1)


def refuse(*_):
    raise WeightsError("The weights of backbone x are gone: retrain.")


def score_of_one(value):
    return lambda house: house.live_predictions()[0].update(score=value)


def two_times(house):
    row = dict(house.backend)
    house.studio.backends[99] = row | {"id": 99}


def another(url, title=TITLE):
    return lambda house: house.studio.backends.update({99: house.backend | {"id": 99, "url": url, "title": title}})


BREAKS = {  # name: what breaks, the link, its state, what is seen, the next step
    "no weights": (
        lambda house: house.change(model_weights=Path("/nowhere/weights.safetensors")),
        ("network", WRONG, "/nowhere/weights.safetensors", "BACKBONE and MODEL_WEIGHTS"),
    ),
    "a DATA_DIR nobody used": (
        lambda house: house.change(data_dir=house.settings.data_dir / "other"),
        ("DATA_DIR", WRONG, "No plugin has worked with DATA_DIR=", "`al-backend up`"),
    ),
    "a full disk": (
        lambda house: house.patch(plugin, "free_disk", lambda _: 10_000_000),
        ("disk", WRONG, "0.01 GB free", "make room"),
    ),
    "a disk that fills": (
        lambda house: house.patch(plugin, "free_disk", lambda _: 3_000_000_000),
        ("disk", WARNING, "3.0 GB free", "make room"),
    ),
    "no memory left": (
        lambda house: house.patch(plugin, "free_memory", lambda: 100_000_000),
        ("memory", WRONG, "0.10 GB left", "give the machine or container more"),
    ),
    "no server": (lambda house: house.stop(), ("server", WRONG, "nobody listens there", "start `al-backend up`")),
    "another plugin's server": (
        lambda house: (house.settings.data_dir / "identity.json").write_text('{"identity": "another"}'),
        ("server", WRONG, "another DATA_DIR answers at BACKEND_URL=", "PORT and BACKEND_URL"),
    ),
    "no Redis": (
        lambda house: house.change(redis_url="unix:///nowhere/redis.sock"),
        ("Redis", WRONG, "REDIS_URL does not answer", "check REDIS_URL"),
    ),
    "a Redis that drops jobs": (
        lambda house: house.set_redis(maxmemory="1gb", **{"maxmemory-policy": "allkeys-lru"}),
        ("Redis", WARNING, "allkeys-lru", "noeviction"),
    ),
    "a Redis whose memory is full": (
        lambda house: house.set_redis(maxmemory="1"),
        ("Redis", WRONG, "its memory is full", "raise its maxmemory"),
    ),
    "another clock on Redis' machine": (
        lambda house: house.patch(queues, "CLOCKS_SECONDS", -1),
        ("Redis' clock", WARNING, "differ by", "NTP"),
    ),
    "no worker": (
        lambda house: house.worker.register_death(),
        ("workers", WRONG, "no worker takes al-train, al-housekeeping, al-embed", "start `al-backend up`"),
    ),
    "a worker that hangs": (
        lambda house: house.redis.hset(house.worker.key, "last_heartbeat", utcformat(now() - timedelta(minutes=5))),
        ("workers", WRONG, "(1 hang)", "start `al-backend up`"),
    ),
    "a worker that was killed": (
        lambda house: house.redis.hset(house.worker.key, "pid", 2**22 + 1),
        ("workers", WRONG, "no worker takes", "start `al-backend up`"),
    ),
    "a worker of another version": (
        lambda house: house.redis.hset(house.worker.key, VERSION, "0.2.0"),
        ("workers", WRONG, "of version 0.2.0", "start them again from one installation"),
    ),
    "a worker that does not tell its version": (
        lambda house: house.redis.hdel(house.worker.key, VERSION),
        ("workers", WRONG, "an older one", "start them again from one installation"),
    ),
    "a worker that does not fit the server": (
        lambda house: house.redis.hset(house.worker.key, UNFIT, "other weights"),
        ("workers", WRONG, "a worker takes no job: other weights", "`al-backend settings` on each machine"),
    ),
    "no Label Studio": (
        lambda house: house.change(label_studio_url=f"http://127.0.0.1:{free_port()}"),
        ("Label Studio", WRONG, "does not answer", "Check LABEL_STUDIO_URL"),
    ),
    "an untried release": (
        lambda house: setattr(house.studio, "release", "1.99.0"),
        ("release", WARNING, "1.99.0", "label-studio==1.23.2"),
    ),
    "another clock at Label Studio's": (
        lambda house: setattr(house.studio, "clock_off", 600.0),
        ("clock", WARNING, "this machine and Label Studio's differ by", "NTP"),
    ),
    "sign-up open to the world": (
        lambda house: setattr(house.studio, "sign_up_is_open", True),
        ("sign-up", WARNING, "can make an account", "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true"),
    ),
    "a token that is refused": (
        lambda house: house.change(label_studio_api_key=SecretStr("an.other.token")),
        ("token", WRONG, "LABEL_STUDIO_API_KEY was refused (401", "personal access token"),
    ),
    "no token": (
        lambda house: house.change(label_studio_api_key=SecretStr("")),
        ("token", WRONG, "LABEL_STUDIO_API_KEY is not set", "personal access token"),
    ),
    "a user without an organization": (
        lambda house: setattr(house.studio.people[TOKEN], "organization", None),
        ("token", WRONG, "no active organization", "take another user's token"),
    ),
    "a project that was deleted": (
        lambda house: house.studio.projects.pop(house.number),
        ("project", WRONG, "no such project", "al-backend forget --project"),
    ),
    "another project under the same number": (
        lambda house: house.project.update(created_at="2020-01-01T00:00:00Z"),
        ("project", WRONG, "another project", "al-backend connect --project"),
    ),
    "a project that is not connected": (
        lambda house: house.edit(connected=False),
        ("connected", WRONG, "not connected", "al-backend connect --project"),
    ),
    "no queue yet": (
        lambda house: house.edit(live=""),
        ("connected", WRONG, "no queue yet", "al-backend status"),
    ),
    "a failing job": (
        lambda house: house.edit(errors={"embed": "2026-11-26 08:00:00 embed: no room"}),
        ("jobs", WRONG, "embed: no room", "do what it says"),
    ),
    "a labelling config that cannot be learned": (
        lambda house: house.project.update(label_config='<View><Text name="t" value="$t"/></View>'),
        ("labelling config", WRONG, "needs <Choices>", "Settings > Labeling Interface"),
    ),
    "a class more": (
        lambda house: house.project.update(label_config=label_config(["ants", "bees", "wasps"])),
        ("labelling config", WARNING, "something else than al-", "wait for the next round"),
    ),
    "choices that are not required": (
        lambda house: house.project.update(label_config=TWO),
        ("required", WARNING, 'has no required="true"', 'add required="true"'),
    ),
    "hotkeys that empty": (
        lambda house: house.project.update(enable_empty_annotation=True),
        ("hotkeys", WRONG, "hotkey that unticks", "doctor --project"),
    ),
    "a training in each Submit": (
        lambda house: house.project.update(min_annotations_to_start_training=1),
        ("training", WARNING, "within every 1th Submit", "doctor --project"),
    ),
    "the guard against private addresses": (
        lambda house: setattr(house.studio, "blocks_private", True),
        ("private addresses", WRONG, "guard refuses BACKEND_URL=", "USE_DEFAULT_BANNED_SUBNETS=false"),
    ),
    "a host that Label Studio does not know": (
        lambda house: house.patch(
            house.studio, "_refused_field", lambda _: Refused(500, "Can't resolve hostname plugin.example")
        ),
        ("private addresses", WRONG, "does not know the host in BACKEND_URL=", "a name that Label Studio's machine"),
    ),
    "no ML backend": (
        lambda house: house.studio.backends.clear(),
        ("ML backend", WRONG, "no ML backend at BACKEND_URL=", "doctor --project"),
    ),
    "an ML backend that Label Studio cannot reach": (
        lambda house: house.backend.update(state="DI", readable_state="Disconnected"),
        ("ML backend", WRONG, "Disconnected", "set BACKEND_URL to an address"),
    ),
    "another plugin on the project": (
        another("http://127.0.0.1:1"),
        ("alone", WRONG, "stands at http://127.0.0.1:1 too", "Settings > Model"),
    ),
    "a stranger's ML backend": (
        another("http://127.0.0.1:1", "SAM"),
        ("alone", WARNING, "somebody else's ML backend stands at http://127.0.0.1:1", "Settings > Model"),
    ),
    "an ML backend twice": (two_times, ("alone", WARNING, "2 times", "al-backend connect")),
    "no webhook": (
        lambda house: house.studio.webhooks.clear(),
        ("webhook", WRONG, "no webhook to", "doctor --project"),
    ),
    "a webhook switched off": (
        lambda house: house.hook.update(is_active=False),
        ("webhook", WRONG, "is switched off", "doctor --project"),
    ),
    "a webhook without credentials": (
        lambda house: house.hook.update(headers={}),
        ("webhook", WRONG, "has other credentials", "doctor --project"),
    ),
    "another sampling": (
        lambda house: house.project.update(sampling="Sequential sampling"),
        ("sampling", WRONG, "'Sequential sampling'", "doctor --project"),
    ),
    "the backend's title as model version": (
        lambda house: house.project.update(model_version=TITLE),
        ("model version", WRONG, "the ML backend's title", "doctor --project"),
    ),
    "no model version": (
        lambda house: house.project.update(model_version=None),
        ("model version", WRONG, "follows no version", "doctor --project"),
    ),
    "deleted predictions": (
        lambda house: house.studio.predictions.clear(),
        ("predictions", WRONG, "none of the", "doctor --project"),
    ),
    "a deleted prediction": (
        lambda house: house.studio.predictions.pop(house.live_predictions()[0]["id"]),
        ("predictions", WARNING, "were published", "doctor --project"),
    ),
    "a null score": (score_of_one(None), ("predictions", WRONG, "without a score", "doctor --project")),
    "a negative score": (score_of_one(-0.5), ("predictions", WRONG, "outside 0 to 1", "doctor --project")),
    "an event for which Label Studio takes long": (
        lambda house: house.patch(way_back, "SLOW_SECONDS", -1),
        ("event", WARNING, "a Submit takes as long", "a proxy or a firewall"),
    ),
    "an event that does not arrive": (
        lambda house: (
            house.patch(house.studio, "_send_event", lambda *_: None),
            house.patch(way_back, "ARRIVAL_SECONDS", 0.2),
        ),
        ("event", WRONG, "did not reach the server", "a proxy or a firewall"),
    ),
    "a server of another version": (
        lambda house: house.patch(way_back, "__version__", "9.9.9"),
        ("event", WRONG, "this command is 9.9.9", "start them again from one installation"),
    ),
    "images that are gone": (
        lambda house: house.studio.files.clear(),
        ("image", WRONG, "none of 3 that were tried can be read", "see what it says"),
    ),
    "an image that is gone": (
        lambda house: house.studio.files.pop("/data/upload/0.png"),
        ("image", WARNING, "1 of 3 that were tried cannot be read", "al-backend status"),
    ),
    "weights that are gone": (
        lambda house: house.patch(embedding, "get_backbone", refuse),
        ("embedding", WRONG, "weights of backbone x are gone", "see to the weights"),
    ),
    "other weights than before": (
        lambda house: house.patch(embedding, "get_backbone", lambda *_: Other()),
        ("embedding", WRONG, "something else than is kept", "all images are embedded anew"),
    ),
    "odd settings": (
        lambda house: house.doubts.append("BACKEND_URL=http://localhost:1 sends Label Studio to port 1"),
        ("settings", WARNING, "sends Label Studio to port 1", "al-backend settings"),
    ),
}
