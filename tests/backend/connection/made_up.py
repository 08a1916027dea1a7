"""A desk at which a project of the Label Studio in memory is connected to a plugin, and plugins that answer."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

from backend.bench.label_studio import label_config
from backend.connection.answering import PLUGIN
from backend.connection.connecting import Wishes, connect, disconnect
from backend.records.state import Projects

LIVE = "al-1-abc012"
TWO = (
    '<View><Image name="img" value="$image"/><Choices name="quality" toName="img"><Choice value="ok"/><Choice value="blurry"/>'
    '</Choices><Choices name="species" toName="img"><Choice value="fox"/><Choice value="hare"/><Choice value="owl"/>'
    "</Choices></View>"
)


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


class Plugin:
    """A server that says who it is at /health and agrees to every /setup, at two addresses."""

    def __init__(self, identity):
        body = json.dumps({"status": "UP", "plugin": PLUGIN, "identity": identity, "model_version": "al-0"}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url, self.other_url = (f"http://{host}:{self.server.server_port}" for host in ("127.0.0.1", "localhost"))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


class Desk:
    """Someone who connects a project: what is said to them, and a worker that publishes at once, or fails."""

    def __init__(self, label_studio, settings, work, plugin):
        self.label_studio, self.settings, self.work, self.plugin = label_studio, settings, work, plugin
        self.projects = Projects(settings.data_dir)
        self.said, self.jobs = [], []
        self.fails = None
        image = "/data/upload/1/a.png"
        label_studio.files[image] = png()
        self.project = label_studio.add_project(label_config(["ants", "bees"]), [image] * 3)

    def worker(self, job_id):
        """What `follow` does, with a worker that is done at once."""
        self.jobs.append(job_id)
        if self.fails:
            raise self.fails
        client, tasks = self.label_studio.client(), self.label_studio.task_ids(self.project)
        if tasks and LIVE not in client.prediction_counts(self.project):
            sent = [{"task": task, "result": [], "score": 0.1, "model_version": LIVE} for task in tasks]
            client.import_predictions(self.project, sent)
        client.patch_project(self.project, model_version=LIVE)
        with self.projects.edit(self.project) as state:
            state.live = LIVE
        return {"version": LIVE, "published": len(tasks)}

    def connect(self, **wishes):
        values = {"backend_url": self.plugin.url} | {k: wishes.pop(k) for k in list(wishes) if k in ("backend_url", "port")}
        settings = self.settings.model_copy(update=values)
        return connect(settings, self.work, self.project, self.said.append, self.worker, Wishes(**wishes))

    def disconnect(self):
        settings = self.settings.model_copy(update={"backend_url": self.plugin.url})
        disconnect(settings, self.work, self.project, self.said.append)

    @property
    def state(self):
        return self.projects.read(self.project)

    def there(self):
        """Everything that Label Studio and DATA_DIR hold of the project, but for predictions."""
        ls = self.label_studio
        return json.loads(json.dumps([ls.projects, ls.backends, ls.webhooks, ls.views, vars(self.state)], default=str))
