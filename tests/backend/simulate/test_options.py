"""Options of a simulation, checked when they are made."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from backend.simulate.errors import OptionsError
from backend.simulate.options import Options


def options(**given):
    return Options(folder=Path("photos"), cache=Path("cache"), **{"strategies": ("margin",), "backbone": ("resnet50",)} | given)


def test_labels_are_given_from_20_to_300_ten_at_a_time():
    protocol = options().protocol
    assert (protocol.start, protocol.batch, protocol.rounds) == (20, 10, 28)


def test_one_query_picks_250_after_250():
    protocol = options(one_shot=True).protocol
    assert (protocol.start, protocol.batch, protocol.rounds) == (250, 250, 1)


def test_rounds_are_as_many_as_lead_to_300_labels():
    assert options(start=100, batch=30).protocol.rounds == 7


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"strategies": ("marvin",)}, "'marvin' is unknown"),
        ({"strategies": ("default+balanced",)}, "unknown"),
        ({"one_shot": True, "rounds": 3}, "leave out --rounds 3"),
        ({"finetune_at": (20,)}, "--finetune-at needs --finetune"),
        ({"backbone": ("resnet50", "vgg16"), "weights": Path("a.pth")}, "--weights is for one network"),
        ({"backbone": ("resnet50", "vgg16"), "finetune": "last"}, "leave one of --backbone resnet50 vgg16"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(given, said):
    with pytest.raises(OptionsError, match=said):
        options(**given)


def test_resnet50_is_retrained_at_the_last_point_unless_told_otherwise():
    assert options(finetune="last").retrain_at([20, 30, 40]) == (40,)
    assert options(finetune="last", finetune_at=(30, 20, 30)).retrain_at([20, 30, 40]) == (20, 30)
    assert options().retrain_at([20, 30, 40]) == ()


def test_it_is_not_retrained_where_no_curve_has_a_point():
    with pytest.raises(OptionsError, match="--finetune-at 25: there are figures at 20, 30 labels only"):
        options(finetune="last", finetune_at=(25, 30)).retrain_at([20, 30])


def test_options_stay_as_they_are():
    with pytest.raises(FrozenInstanceError):
        options().seeds = 7
