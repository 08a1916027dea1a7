"""A project that is taken away from a real Label Studio."""

import csv
import subprocess
import sys

from tests.e2e.conftest import first

IMAGES, LABELS = 24, 8


def test_a_project_is_taken_away_with_its_images_and_predicts_elsewhere(house, insects, tmp_path):
    named = first(insects, 0, IMAGES)
    project = house.project("Taken away", named, ["ants", "bees"])
    house.cli("connect", "--project", str(project))
    house.label_first_slots(project, named, LABELS)
    house.cli("retrain", "--project", str(project))
    said = house.cli("export", "--project", str(project), "--to", str(tmp_path / "taken"), "--labels", "folder")
    print(said, (tmp_path / "taken" / "README.md").read_text())
    assert "left out" not in said
    with (tmp_path / "taken" / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    assert {row["source"] for row in labels} == {"1 of 1 annotations"}
    assert len(labels) == LABELS
    assert all((tmp_path / "taken" / row["file"]).read_bytes()[:2] == b"\xff\xd8" for row in labels)
    assert f"Annotators: 1, with {LABELS} annotations" in (tmp_path / "taken" / "README.md").read_text()
    with (tmp_path / "taken" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == IMAGES - LABELS
    assert all(abs(float(row["p(ants)"]) + float(row["p(bees)"]) - 1) < 1e-5 for row in rows)
    command = [sys.executable, "predict.py", labels[0]["file"]]
    done = subprocess.run(command, cwd=tmp_path / "taken", capture_output=True, text=True, check=False)
    assert "'ants': " in done.stdout, done.stderr
