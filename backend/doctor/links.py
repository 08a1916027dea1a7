"""All links, in the order in which they depend on each other."""

from backend.doctor import images, label_studio, plugin, project, queue, queues, way_back
from backend.doctor.case import House, Patient
from backend.doctor.examination import Check

EMBEDDING_SECONDS = 120.0  # torch is imported and the network loaded, on a machine that may be busy
SHARED: tuple[Check[House], ...] = (
    Check("settings", plugin.settings),
    Check("network", plugin.network, seconds=60),  # reads the whole file of weights
    Check("STORE", plugin.store),
    Check("DATA_DIR", plugin.data_folder, ("STORE",)),
    Check("disk", plugin.disk),
    Check("memory", plugin.memory),
    Check("server", plugin.server, ("DATA_DIR",)),
    Check("Redis", queues.redis),
    Check("Redis' clock", queues.redis_clock, ("Redis",)),
    Check("workers", queues.workers, ("Redis",)),
    Check("Label Studio", label_studio.reachable),
    Check("release", label_studio.release, ("Label Studio",)),
    Check("clock", label_studio.clock, ("Label Studio",)),
    Check("sign-up", label_studio.sign_up, ("Label Studio",)),
    Check("token", label_studio.token, ("Label Studio",)),
)
PROJECTS: Check[House] = Check("projects", project.connected_ones, ("DATA_DIR", "Redis"))  # where none is asked for
OF_A_PROJECT: tuple[Check[Patient], ...] = (
    Check("project", project.there, ("token",)),
    Check("connected", project.connected, ("project", "DATA_DIR")),
    Check("jobs", project.jobs, ("connected",)),
    Check("labelling config", project.labelling_config, ("project",)),
    Check("required", project.required, ("labelling config",)),
    Check("hotkeys", project.hotkeys, ("connected",)),
    Check("training", project.training, ("connected",)),
    Check("private addresses", way_back.private_addresses, ("project",)),
    Check("ML backend", way_back.ml_backend, ("connected", "private addresses", "server")),
    Check("alone", way_back.alone, ("connected",)),
    Check("webhook", way_back.webhook, ("connected", "private addresses")),
    Check("sampling", queue.sampling, ("connected",)),
    Check("model version", queue.model_version, ("connected", "labelling config")),
    Check("predictions", queue.predictions, ("model version",)),
    Check("event", way_back.event, ("webhook", "server", "Redis", "model version"), 30),
    Check("image", images.fetched, ("labelling config",), 60),
    Check("embedding", images.embedded, ("image", "connected", "memory", "network"), EMBEDDING_SECONDS),
)
