"""Which labelling configs are served, and what the error says about the others."""

import pytest

from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from tools.label_studio import label_config

IMAGE = '<Image name="img" value="$photo"/>'
TWO = '<Choice value="A"/><Choice value="B"/>'


def test_the_classes_and_names_of_a_single_choice_are_found():
    target = parse_label_config(f'<View>{IMAGE}<Choices name="c" toName="img">{TWO}</Choices></View>')
    assert target.as_dict() == {"from_name": "c", "to_name": "img", "data_key": "photo", "classes": ["A", "B"]}


def test_an_alias_is_what_label_studio_stores():
    choices = '<Choice value="A" alias="a"/><Choice value="B"/>'
    target = parse_label_config(f'<View>{IMAGE}<Choices name="c" toName="img">{choices}</Choices></View>')
    assert target.classes == ("a", "B")


def test_other_controls_are_passed_over():
    xml = f'<View>{IMAGE}<TextArea name="t" toName="img"/><Choices name="c" toName="img">{TWO}</Choices></View>'
    assert parse_label_config(xml).from_name == "c"


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("", "not valid XML"),
        ("<View>", "not valid XML"),
        (f"<View>{IMAGE}</View>", "no <Choices>"),
        (f'<View>{IMAGE}<Choices name="c" toName="img" choice="multiple">{TWO}</Choices></View>', "several choices"),
        (
            f'<View><Text name="t" value="$t"/><Choices name="c" toName="t">{TWO}</Choices></View>',
            "does not refer to an <Image>",
        ),
        (f'<View>{IMAGE}<Choices name="c" toName="img" perRegion="true">{TWO}</Choices></View>', "about regions"),
        (f'<View>{IMAGE}<Choices name="c" toName="img"><Choice value="A"/></Choices></View>', "at least two"),
        (f'<View>{IMAGE}<Choices name="c" toName="img" value="$options"/></View>', "in the config itself"),
        (f'<View>{IMAGE}<Choices name="c" toName="img">{TWO}<Choice value="A"/></Choices></View>', "same choice twice"),
    ],
)
def test_a_config_that_cannot_be_served_says_why(xml, says):
    with pytest.raises(LabelConfigError, match=says):
        parse_label_config(xml)


def test_class_names_survive_xml():
    classes = ['Fish & "Chips"', "<none>", "Käse"]
    assert list(parse_label_config(label_config(classes)).classes) == classes
