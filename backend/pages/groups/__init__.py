"""Labelling look-alikes together: a grid from which a person takes out what does not belong, and one key for the rest."""

from backend.pages.groups.page import PAGES

__all__ = ["PAGES"]
