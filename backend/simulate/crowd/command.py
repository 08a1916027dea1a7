"""`al-backend simulate DIR --noise SHARE`: from options to table and files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backend.simulate.crowd.compared import Compared, Labellings, as_crowd_csv, as_crowd_json, as_crowd_table, ways_of
from backend.simulate.crowd.people import Crowd
from backend.simulate.dataset import Dataset
from backend.simulate.draw import draw
from backend.simulate.errors import OptionsError
from backend.simulate.options import Options
from backend.simulate.parallel import run_trials
from backend.simulate.progress import StepLine
from backend.simulate.protocol import Method
from backend.simulate.store import Trial
from model.storage.files import write_atomically, write_json


def compare_crowd(images: Dataset, options: Options, product: Method, line: StepLine, say: Callable[[str], None]) -> None:
    """Let people who err label in each way, and tell what came of it. Raises OptionsError."""
    if images.independent:
        raise OptionsError("--noise gives an image another class: here an image may be of several. Leave it out.")
    protocol, crowd = options.protocol, Crowd(options.annotators, options.noise, options.confusion)
    answers = protocol.grid(len(draw(images, protocol, 0).pool))
    trials = [Trial(replace(product, name=way, cold=True), seed) for seed in range(options.seeds) for way in ways_of(crowd)]
    line.start("labelling", len(trials))
    done = {}
    experiment = Labellings(images, replace(protocol, rounds=len(answers) - 1), crowd)
    for trial, labelling in run_trials(experiment, trials, options.jobs, options.cache, lambda _: None):
        done[trial] = labelling
        line.reach(len(done), f"{len(done)} of {len(trials)} labellings")
    by_way = {way: [done[trial] for trial in trials if trial.method.name == way] for way in ways_of(crowd)}
    compared = Compared(by_way, crowd, answers)
    say(as_crowd_table(compared))
    table = options.csv or options.cache / "crowd.csv"
    write_atomically(table, lambda beside: _write(beside, as_crowd_csv(compared)))
    if options.json:
        write_json(options.json, as_crowd_json(compared))
    say("Written: " + ", ".join(str(path) for path in (table, options.json) if path))


def _write(path: Path, content: str) -> None:
    path.write_text(content)
