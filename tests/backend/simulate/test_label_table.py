"""A folder whose labels.csv says of which classes each image is."""

import numpy as np
import pytest

from backend.simulate.command import check_size
from backend.simulate.curves import run_curve
from backend.simulate.dataset import Dataset, list_dataset
from backend.simulate.errors import OptionsError
from backend.simulate.label_table import read_label_table
from backend.simulate.protocol import CEILING, Method, Protocol
from tests.model.heads.test_independent_head import sets


def table(folder, lines, files=("a.jpg", "b.jpg", "c.jpg")):
    """A folder with such a table, and files."""
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_each_image_has_the_classes_of_its_line(tmp_path):
    folder = table(tmp_path, ["file,labels", "a.jpg,dog; cat", "b.jpg,", "sub/c.jpg,dog"], ("a.jpg", "b.jpg", "sub/c.jpg"))
    paths, classes, labels = read_label_table(folder)
    assert [path.relative_to(folder).as_posix() for path in paths] == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert classes == ["cat", "dog"]
    assert labels.tolist() == [[True, True], [False, False], [False, True]]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([""], "needs the columns file and labels"),
        (["file,label", "a.jpg,x"], "lacks labels"),
        (["file,labels", "d.jpg,x", "a.jpg,"], "names d.jpg, and there is no such image"),
        (["file,labels", "a.jpg,x", "b.jpg,x"], "a class that some of its images are of and others are not"),
        (["file,labels", "a.jpg,", "b.jpg,"], "a class that some"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, lines, says):
    with pytest.raises(OptionsError, match=says):
        read_label_table(table(tmp_path, lines))


def test_a_folder_with_a_table_is_one_of_several_classes_an_image(tmp_path):
    images, left_out = list_dataset(table(tmp_path, ["file,labels", "a.jpg,x;y", "b.jpg,", "c.jpg,y"]), copies=1)
    assert images.independent
    assert images.labels.tolist() == [[True, True]] * 2 + [[False, False]] * 2 + [[False, True]] * 2
    assert left_out == 0


def made_up(n=200):
    embeddings, labels = sets(n)
    rows = np.arange(n)
    return Dataset(("a", "b", "c"), labels, rows, np.zeros(n, bool), embeddings.astype(np.float16), ())


@pytest.mark.parametrize("strategy", ["random", "least_confidence", "entropy", "bald", "badge", "bait+distinct"])
def test_a_curve_of_images_of_several_classes_rises(strategy):
    protocol = Protocol(start=20, batch=20, rounds=3)
    curve = run_curve(made_up(), protocol, Method(strategy, strategy, "default", 0.1, cold=True), 0)
    assert len(set(curve.picked)) == curve.labels[-1] == 80
    assert 0.4 < curve.macro_f1[0] < curve.macro_f1[-1] + 0.05 < 1.05
    assert run_curve(made_up(), protocol, CEILING, 0).macro_f1[0] > 0.7


def test_imbalance_is_refused_where_images_are_of_several_classes():
    with pytest.raises(OptionsError, match="one class each"):
        check_size(made_up(), Protocol(imbalance=(("a", 0.5),)))
