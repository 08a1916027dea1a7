"""A project's random sample is kept between rounds, so that imports leave it as it is."""

import numpy as np
import pytest

from backend.learning.slots import slot_order
from backend.records.sample import FILE, KeptSample


def project(n, labels, start=1):
    """n tasks of which those of the first hashes are labelled: tasks, labelled, left."""
    tasks = np.arange(start, start + n)
    labelled = np.zeros(n, bool)
    labelled[slot_order(tasks)[:labels]] = True
    return tasks, labelled, np.zeros(n, bool)


def after_an_import(kept, between=lambda: None):
    """The weights before and after 1,000 tasks join 1,000 others."""
    first, second = project(1000, 300), project(1000, 0, start=1001)
    before = kept.draw(*first, share=0.1).weights
    between()
    both = (np.append(a, b) for a, b in zip(first, second, strict=True))
    return before, kept.draw(*both, share=0.1).weights


def test_an_import_leaves_the_sample_as_it_is(documents):
    before, after = after_an_import(KeptSample(documents))
    assert (before > 0).sum() == 30
    assert after[:1000].tolist() == before.tolist()
    assert not after[1000:].any()


@pytest.mark.parametrize("content", [None, "", "{", '[{"last": "x"}]', "[3]", "\0"])
def test_a_record_that_is_lost_or_damaged_begins_anew(documents, content):
    def damage():
        documents.remove(FILE)
        if content is not None:
            documents.write(FILE, content.encode())

    _, after = after_an_import(KeptSample(documents), damage)
    assert np.unique(after[after > 0]).size <= 1
    assert documents.read_text(FILE).startswith("[")
