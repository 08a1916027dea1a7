"""The moves of a project from version to version and from backbone to backbone, in any order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backend.records.succession import Succession

versions = st.sampled_from(["al-1-aaaaaa", "al-2-bbbbbb", "al-3-cccccc"])
backbones = st.sampled_from(["base", "tuned-1", "tuned-2"])
TARGET = {"classes": ["A", "B"]}


def test_a_new_project_follows_nothing():
    assert Succession() == Succession(live="", target={}, followed="", returning="", candidate="", promoting="")


def test_a_switch_is_under_way_until_label_studio_was_told():
    state = Succession()
    state.switch_to("al-1-aaaaaa", TARGET, "base")
    assert (state.live, state.followed) == ("al-1-aaaaaa", "")
    state.told("al-1-aaaaaa")
    assert state.followed == "al-1-aaaaaa"


def test_a_rollback_ends_with_the_switch_and_cancels_a_promotion():
    state = Succession(live="al-2-bbbbbb", promoting="tuned-1")
    state.roll_back_to("al-1-aaaaaa")
    assert (state.live, state.returning, state.promoting) == ("al-2-bbbbbb", "al-1-aaaaaa", "")
    state.switch_to("al-1-aaaaaa", TARGET, "base")
    assert (state.live, state.returning) == ("al-1-aaaaaa", "")


def test_a_backbone_is_kept_from_when_it_is_made_until_a_round_has_published_with_it():
    state = Succession()
    state.adopted("tuned-1")
    assert state.backbones() == {"tuned-1"}
    state.judged("tuned-1", promoted=True)
    assert state.backbones() == {"tuned-1"}
    state.switch_to("al-2-bbbbbb", TARGET, "tuned-1")
    assert state.backbones() == set()


def test_a_backbone_that_is_not_better_is_not_promoted():
    state = Succession()
    state.adopted("tuned-1")
    state.judged("tuned-1", promoted=False)
    assert state.backbones() == set()


def test_an_older_round_that_ends_only_now_leaves_a_promotion_as_it_is():
    state = Succession(promoting="tuned-1")
    state.switch_to("al-2-bbbbbb", TARGET, "base")
    assert state.promoting == "tuned-1"


def test_a_version_chosen_by_hand_needs_no_switch():
    state = Succession(live="al-2-bbbbbb", followed="al-2-bbbbbb")
    state.chosen_by_hand("al-1-aaaaaa")
    assert (state.live, state.followed) == ("al-1-aaaaaa", "al-1-aaaaaa")


def test_a_base_that_is_embedded_waits_for_a_round_and_leaves_a_fine_tuning_alone():
    state = Succession(candidate="tuned-1")
    state.migrated("base")
    assert state.backbones() == {"tuned-1", "base"}
    state.switch_to("al-2-bbbbbb", TARGET, "base")
    assert state.backbones() == {"tuned-1"}


class AnyOrder(RuleBasedStateMachine):
    """Whatever order the moves come in, as after jobs that were killed and began again."""

    def __init__(self):
        super().__init__()
        self.state = Succession()
        self.made, self.published = set(), set()

    @rule(version=versions, backbone=backbones)
    def publish(self, version, backbone):
        self.state.switch_to(version, TARGET, backbone)
        self.published.add(version)
        assert self.state.returning == ""
        assert self.state.promoting != backbone

    @rule()
    def tell(self):
        self.state.told(self.state.live)

    @rule(version=versions)
    def return_to(self, version):
        live = self.state.live
        self.state.roll_back_to(version)
        assert self.state.live == live

    @rule(backbone=backbones)
    def adopt(self, backbone):
        self.state.adopted(backbone)
        self.made.add(backbone)

    @rule(promoted=st.booleans())
    def judge(self, promoted):
        self.state.judged(self.state.candidate, promoted)
        assert self.state.candidate == ""

    @rule(backbone=backbones)
    def migrate(self, backbone):
        self.state.migrated(backbone)
        self.made.add(backbone)

    @rule()
    def start_over(self):
        self.state.forget()
        assert self.state == Succession()

    @invariant()
    def what_is_followed_was_published(self):
        assert {self.state.live, self.state.followed} <= self.published | {""}

    @invariant()
    def what_is_promoted_was_made(self):
        assert self.state.backbones() <= self.made


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(stateful_step_count=10)
