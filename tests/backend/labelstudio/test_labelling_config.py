"""Which labelling configs are served, and what the error says about the others."""

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config, read_label_config

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
        (f'<View>{IMAGE}<Choices name="c" toName="img" choice="any">{TWO}</Choices></View>', "none of single"),
        (
            f'<View><Text name="t" value="$t"/><Choices name="c" toName="t">{TWO}</Choices></View>',
            "does not refer to an <Image>",
        ),
        (f'<View>{IMAGE}<Choices name="c" toName="img" perRegion="true">{TWO}</Choices></View>', "about regions"),
        (f'<View>{IMAGE}<Choices name="c" toName="img"><Choice value="A"/></Choices></View>', "at least two"),
        (f'<View>{IMAGE}<Choices name="c" toName="img" value="$options"/></View>', "from each task's data"),
        (
            '<View><Image name="img" value="$base/$file"/><Choices name="c" toName="img"><Choice value="A"/></Choices></View>',
            "several variables",
        ),
        (
            f'<View><Image name="img" value="https://h/$file"/><Choices name="c" toName="img">{TWO}</Choices></View>',
            "not one variable alone",
        ),
        (f'<View><Image name="img" value="$a-b"/><Choices name="c" toName="img">{TWO}</Choices></View>', "not one variable"),
        (f'<View><Image name="img" value="/a.jpg"/><Choices name="c" toName="img">{TWO}</Choices></View>', "no task variable"),
        (f'<View><Image name="img" valueList="$a"/><Choices name="c" toName="img">{TWO}</Choices></View>', "several images"),
        (f'<View>{IMAGE}<Choices name="c" toName="img,img">{TWO}</Choices></View>', "several objects"),
        (f'<View>{IMAGE}<Choices toName="img">{TWO}</Choices></View>', "has no name"),
        (f'<View>{IMAGE}<Choices name="c" toName="img"><Choice value="A">{TWO}</Choice></Choices></View>', "nested choices"),
        (f'<View>{IMAGE}<Choices name="c" toName="img" allowNested="true">{TWO}</Choices></View>', "allows nested choices"),
        (f'<View>{IMAGE}<Choices name="c" toName="img">{TWO}<Choice/></Choices></View>', "without a value"),
        (f'<View>{IMAGE}<Choices name="c" toName="img">{TWO}<Choice value="$x"/></Choices></View>', "taken from each task's"),
        (f'<View>{IMAGE}<Taxonomy name="tree" toName="img"/></View>', "at least two <Choice> leaves"),
        (f'<View>{IMAGE}<choices name="c" toName="img">{TWO}</choices></View>', "small letters"),
        (
            f'<View>{IMAGE}<Choices name="c" toName="img" visibleWhen="region-selected">{TWO}</Choices></View>',
            "about regions",
        ),
        (
            f'<View>{IMAGE}<View visibleWhen="region-selected"><Choices name="c" toName="img">{TWO}</Choices></View></View>',
            "about regions",
        ),
        (f'<View>{IMAGE}<Repeater><Choices name="c" toName="img">{TWO}</Choices></Repeater></View>', "in a <Repeater>"),
        (f'<!DOCTYPE View [<!ENTITY a "aaaa">]><View>{IMAGE}</View>', "DOCTYPE"),
        ("<View a='\ud800'/>", "not valid XML"),
        ("<View>\0</View>", "not valid XML"),
        ("<View>&undefined;</View>", "not valid XML"),
        ("<View/>" + " " * 3_000_000 + "<!-- -->", "make it shorter"),
        (None, "is nothing, not XML text"),
        ({"View": []}, "is an object, not XML text"),
        (b"<View/>", "not XML text"),
        (f'<View>{IMAGE}<Choices name="c" toName="img">{TWO}<Choice value="A"/></Choices></View>', "same choice twice"),
    ],
)
def test_a_config_that_cannot_be_served_says_why(xml, says):
    with pytest.raises(LabelConfigError, match=says):
        parse_label_config(xml)


def test_class_names_survive_xml():
    classes = ['Fish & "Chips"', "<none>", "Käse"]
    assert list(parse_label_config(label_config(classes)).classes) == classes


def choices(name, inside=TWO, **attributes):
    """A <Choices> on the image."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<Choices name="{name}" toName="img"{more}>{inside}</Choices>'


@pytest.mark.parametrize(
    "inside",
    [
        f"<View>{TWO}</View><View><Choice value='C'/></View>",
        f"{TWO}<View><View><View><Choice value='C'/></View></View></View>",
        "<Choice value='A'/><View><Header value='more'/><Choice value='B'/></View><Choice value='C'/>",
    ],
)
def test_choices_laid_out_in_views_are_classes_in_their_order(inside):
    assert parse_label_config(f"<View>{IMAGE}{choices('c', inside)}</View>").classes == ("A", "B", "C")


@pytest.mark.parametrize("more", ["showInline", "html", "hint", "hotkey"])
def test_what_only_changes_the_looks_changes_no_class(more):
    inside = f'<Choice value="A" {more}="true"/><Choice value="B"/>'
    assert parse_label_config(f"<View>{IMAGE}{choices('c', inside, showInline='true')}</View>").classes == ("A", "B")


def test_classes_are_exactly_what_label_studio_stores():
    inside = '<Choice value=" A "/><Choice value="1"/><Choice value="x&#10;y"/><Choice value="$5" alias="five"/>'
    assert parse_label_config(f"<View>{IMAGE}{choices('c', inside)}</View>").classes == (" A ", "1", "x\ny", "five")


@pytest.mark.parametrize("path", ["meta.image", "pages[0].url", "a.b[1][0].c"])
def test_an_image_deep_in_the_data_keeps_its_path(path):
    assert parse_label_config(f"<View>{IMAGE.replace('photo', path)}{choices('c')}</View>").data_key == path


@pytest.mark.parametrize(
    "xml",
    [
        f"\ufeff<View>{IMAGE}{choices('c')}</View>",
        f"\n  <?xml version='1.0' encoding='utf-16'?><View>{IMAGE}{choices('c')}</View>",
        f"<View><!-- <Choices name='old' toName='img'/> -->{IMAGE}{choices('c')}</View>",
        f"<View><Style><![CDATA[.a > .b {{}} <!DOCTYPE x>]]></Style>{IMAGE}{choices('c')}</View>",
        f"{'<View>' * 10_000}{IMAGE}{choices('c')}{'</View>' * 10_000}",
    ],
    ids=["byte order mark", "declared encoding", "comment", "CDATA", "deep"],
)
def test_xml_is_read_however_it_is_written(xml):
    assert parse_label_config(xml).from_name == "c"


TWO_QUESTIONS = f"<View>{IMAGE}{choices('quality')}{choices('species', required='true')}<Rating name='r' toName='img'/></View>"


def test_of_several_questions_the_first_is_taken_and_the_others_are_named():
    config = read_label_config(TWO_QUESTIONS)
    assert (config.control.name, config.control.required) == ("quality", False)
    assert [str(other) for other in config.others] == [
        "<Choices name='species'>",
        "<Rating name='r'> is no choice about a whole image",
    ]


def test_a_question_is_chosen_by_name():
    config = read_label_config(TWO_QUESTIONS, "species")
    assert (config.target.from_name, config.control.required) == ("species", True)
    assert parse_label_config(TWO_QUESTIONS, "species") == config.target


def test_a_question_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(
        LabelConfigError, match=r"no control named 'kind'\. There are: <Choices name='quality'>; <Choices name='spec"
    ):
        parse_label_config(TWO_QUESTIONS, "kind")


def test_a_question_that_cannot_be_learned_is_refused_by_name():
    with pytest.raises(LabelConfigError, match="<Rating name='r'> is no choice"):
        parse_label_config(TWO_QUESTIONS, "r")


def test_a_question_that_cannot_be_learned_is_passed_over():
    config = read_label_config(f"<View>{IMAGE}{choices('each', perRegion='true')}{choices('one')}</View>")
    assert config.control.name == "one"
    assert config.others[0].problem == "is about regions, not about the whole image"


def test_a_question_asked_of_every_image_comes_before_one_asked_after_certain_answers():
    after = choices("kind", visibleWhen="choice-selected", whenTagName="quality")
    assert parse_label_config(f"<View>{IMAGE}{after}{choices('quality')}</View>").from_name == "quality"
    assert parse_label_config(f"<View>{IMAGE}{after}{choices('quality')}</View>", "kind").from_name == "kind"


def test_a_refusal_stays_short():
    xml = f"<View>{IMAGE}{''.join(choices('c' * 1000, perRegion='true') for _ in range(500))}</View>"
    with pytest.raises(LabelConfigError) as refused:
        parse_label_config(xml)
    assert len(str(refused.value)) < 2000


def test_many_classes_are_read_at_once():
    inside = "".join(f'<Choice value="{n}"/>' for n in range(20_000))
    assert len(parse_label_config(f"<View>{IMAGE}{choices('c', inside)}</View>").classes) == 20_000


def test_spaces_around_an_images_variable_mean_nothing():
    xml = f'<View><Image name="img" value=" $photo "/>{choices("c")}</View>'
    assert parse_label_config(xml).data_key == "photo"
