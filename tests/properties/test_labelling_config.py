"""Whatever stands in a project's labelling config: it is served, or refused with a sentence."""

from hypothesis import event, given
from hypothesis import strategies as st

from backend.labelstudio.labelling_config import LabelConfigError, read_label_config
from tests.properties.made_up import ANYTHING, CONFIGS, TEXT, laid_out


@given(CONFIGS)
def test_a_config_is_served_or_refused_with_a_sentence(xml):
    try:
        config, refusal = read_label_config(xml), "served"
    except LabelConfigError as error:
        config, refusal = None, str(error)
    event("served" if config else "refused")
    assert 5 < len(refusal.encode()) < 4000
    if config is None:
        return
    target = config.target
    assert len(target.classes) == len(set(target.classes)) >= 2
    assert all(target.classes)
    assert target.from_name
    assert target.data_key
    assert config.control.problem == ""


@given(CONFIGS, TEXT)
def test_a_named_control_is_the_one_that_is_taken(xml, name):
    try:
        config = read_label_config(xml, name)
    except LabelConfigError:
        return
    assert not name or config.target.from_name == name


@given(ANYTHING)
def test_what_a_served_config_publishes_is_what_it_reads(odd):
    xml = (
        '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="x" alias="A"/>'
        '<Choice value=" B "/></Choices></View>'
    )
    target = read_label_config(xml).target
    for name in target.classes:
        assert (
            target.answer([odd, target.region(name, 0.5)] if not isinstance(odd, dict) else [target.region(name, 0.5)]).choice
            == name
        )


@given(laid_out())
def test_choices_are_the_classes_in_their_order_however_they_are_laid_out(config):
    xml, classes = config
    assert list(read_label_config(xml).target.classes) == classes


@given(laid_out(), st.data())
def test_each_class_is_read_as_it_is_published(config, data):
    target = read_label_config(config[0]).target
    name = data.draw(st.sampled_from(target.classes))
    assert target.answer([target.region(name, 0.5)]).choice == name
