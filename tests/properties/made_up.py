"""Anything that JSON can hold, and labelling configs as nobody should write them."""

from xml.sax.saxutils import quoteattr

from hypothesis import strategies as st

TEXT = st.text(st.characters(), max_size=30) | st.sampled_from(["", "A", "image", "\ud800", "\0", "x" * 5000, "true", "1"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63), 2**200, 0, 1, float("nan"), float("inf")])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT


def _deep(depth: int) -> object:
    value: object = []
    for level in range(depth):
        value = [value] if level % 2 else {"choices": value}
    return value


JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12)
ANYTHING = JSON | st.integers(1, 900).map(_deep)


def nearly(**fields: st.SearchStrategy) -> st.SearchStrategy:
    """An object with some of `fields`, any of them odd, and with others; or no object at all."""
    odd = {name: value | ANYTHING for name, value in fields.items()}
    return st.fixed_dictionaries({}, optional=odd) | st.fixed_dictionaries(fields) | ANYTHING


CLASSES = st.sampled_from(["A", "B", "C"])
VALUES = nearly(choices=st.lists(CLASSES | ANYTHING, max_size=3))
REGIONS = nearly(from_name=st.just("choice"), to_name=st.just("image"), type=st.just("choices"), value=VALUES)
ANNOTATIONS = nearly(
    id=st.integers(), result=st.lists(REGIONS, max_size=3), was_cancelled=st.booleans(), ground_truth=st.booleans()
)
DATA = nearly(image=st.sampled_from(["/a.jpg", "https://u:p@h/a?sig=1", "data:,"]) | TEXT, meta=ANYTHING)
TASKS = nearly(id=st.integers(0, 50), data=DATA, annotations=st.lists(ANNOTATIONS, max_size=4), updated_at=TEXT)

GOOD = (
    '<View><Image name="image" value="$image"/><Choices name="choice" toName="image">'
    '<Choice value="A"/><View><Choice value="B"/></View></Choices></View>'
)
TAGS = st.sampled_from(
    [
        "View",
        "Image",
        "Choices",
        "Choice",
        "Taxonomy",
        "RectangleLabels",
        "TextArea",
        "Repeater",
        "Style",
        "Header",
        "choices",
        "image",
        "Text",
    ]
)
NAMES = st.sampled_from(
    [
        "name",
        "toName",
        "value",
        "alias",
        "choice",
        "perRegion",
        "perItem",
        "visibleWhen",
        "valueList",
        "allowNested",
        "required",
        "html",
    ]
)
SETTINGS = TEXT | st.sampled_from(
    [
        "image",
        "choice",
        "$image",
        "$a.b[0].c",
        "$a/$b",
        "single",
        "multiple",
        "true",
        "region-selected",
        "A",
        "B",
        " A ",
        "a,b",
        "$",
    ]
)


def _element(parts: tuple[str, dict[str, str], list[str]]) -> str:
    tag, attributes, inner = parts
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(inner)}</{tag}>"


def _elements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    attributes = st.dictionaries(NAMES, SETTINGS, max_size=5)
    return st.tuples(TAGS, attributes, st.lists(inner, max_size=5)).map(_element)


TREES = st.recursive(st.just("<Choice value='A'/>") | st.just("<!-- no -->") | TEXT, _elements, max_leaves=25)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good config of which a piece is replaced."""
    start = draw(st.integers(0, len(GOOD)))
    end = draw(st.integers(start, min(len(GOOD), start + 20)))
    return GOOD[:start] + draw(TEXT | st.sampled_from(["<", ">", "&", "<!DOCTYPE x>", "<![CDATA[", "<!--", '"'])) + GOOD[end:]


CONFIGS = TREES.map(lambda tree: f"<View>{tree}</View>") | damaged() | TEXT | ANYTHING | st.just(GOOD)

PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="$\ufffe\uffff"), min_size=1, max_size=12
)


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A config whose choices are laid out in views of any depth, with aliases and spaces; and the classes that it means."""
    classes = draw(st.lists(PLAIN, min_size=2, max_size=8, unique=True))
    inside = ""
    for name in classes:
        choice = f"<Choice value={quoteattr(name)}/>"
        if draw(st.booleans()):
            choice = f"<Choice value={quoteattr(draw(PLAIN))} alias={quoteattr(name)}/>"
        depth = draw(st.integers(0, 3))
        inside += (
            "<View>" * depth
            + choice
            + draw(st.sampled_from(["", "\n", "<!-- x -->", "<Header value='h'/>"]))
            + "</View>" * depth
        )
    image = draw(st.sampled_from(["$image", " $image ", "$a.b[0].c", "$a_1"]))
    beside = draw(
        st.sampled_from(["", "<TextArea name='t' toName='i'/>", "<Text name='x' value='$x'/>", "<Style>a &gt; b</Style>"])
    )
    return f"<View><Image name='i' value='{image}'/>{beside}<Choices name='c' toName='i'>{inside}</Choices></View>", classes
