"""Whatever stands in a project's labelling config: it is served, or refused with a sentence."""

from hypothesis import event, given
from hypothesis import strategies as st

from backend.labelstudio.labelling_config import LabelConfigError, read_label_config
from backend.labelstudio.several import names_of
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


HEADS = {
    "single": '<Choices name="c" toName="i">{}</Choices>',
    "several": '<Choices name="c" toName="i" choice="multiple">{}</Choices>',
    "tree": '<Taxonomy name="c" toName="i">{}</Taxonomy>',
}
TREE = '<Choice value="A"><Choice value="B"/><Choice value="C"/></Choice><Choice value="D"/>'
FLAT = '<Choice value="A"/><Choice value="B"/><Choice value="C"/>'
STORED = st.lists(
    st.sampled_from(["A", "B", "C", "D"]) | st.lists(st.sampled_from(["A", "B", "C", "D"])) | ANYTHING, max_size=4
)


@given(st.sampled_from(sorted(HEADS)), st.sampled_from(["choices", "taxonomy", None]), STORED | ANYTHING, ANYTHING)
def test_an_answer_of_any_kind_is_a_label_or_a_trouble_with_a_remark(kind, key, stored, odd):
    inside = TREE if kind == "tree" else FLAT
    target = read_label_config(f'<View><Image name="i" value="$image"/>{HEADS[kind].format(inside)}</View>').target
    region = {"from_name": "c", "to_name": "i", "type": key, "value": {str(key): stored}}
    for result in ([region], [region, odd], odd):
        answer = target.answer(result)
        assert (answer.choice is None) == bool(answer.trouble) == bool(answer.remark)
        if answer.choice is not None:
            assert target.majority([answer.choice]) == answer.choice
            assert set(names_of(answer.choice) if target.SEVERAL else [answer.choice]) <= set(target.classes)
