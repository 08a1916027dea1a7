"""What is kept on disk of the project that somebody looks at: read without Label Studio and without a network."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from backend.index.index import Index
from backend.pages.visit import Visit
from backend.project.shared_index import open_index
from backend.records.ahead import Ahead
from backend.records.kept import versions_of
from backend.records.state import ProjectState
from model.backbone_store import kept_embeddings
from model.embeddings.embedding_store import EmbeddingStore
from model.version_store import Version, VersionError


@dataclass(frozen=True)
class Kept:
    """live: the version that the queue follows; store: the embeddings that it was learned from; sent: by
    whom tasks were sent to the head of the queue."""

    state: ProjectState
    index: Index
    live: Version
    store: EmbeddingStore
    sent: dict[int, str]


@contextmanager
def kept(visit: Visit) -> Iterator[Kept | None]:
    """What is kept of the visit's project; None before its first version. Raises IndexUnavailable."""
    projects, project = visit.house.projects, visit.project or 0
    folder, state = projects.folder(project), projects.read(project)
    try:
        live = versions_of(projects, project).load(state.live)
    except VersionError:
        yield None
        return
    with closing(open_index(projects, project)) as index:
        sent = {entry.task: entry.who for entry in Ahead(visit.documents).read()}
        yield Kept(state, index, live, kept_embeddings(folder, live.backbone, projects.mirror(project)), sent)
