"""A Label Studio of some hundred lines, for tests that need no real one: its API on loopback, its data in memory.

It speaks HTTP, so that the plugin's own client, its workers and its commands talk to it unchanged. It knows what the plugin
uses and what surprises: which values are dropped without a word, which are refused, and in which order tasks are served.
tests/label_studio_contract.py holds it to the real one.
"""

from tests.label_studio_in_memory.serving import TOKEN, Fault, Refused, Request
from tests.label_studio_in_memory.studio import LabelStudioInMemory

__all__ = ["TOKEN", "Fault", "LabelStudioInMemory", "Refused", "Request"]
