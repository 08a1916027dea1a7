"""Who labels, how much, how fast, and how people agree."""

from backend.pages.people.page import PAGES

__all__ = ["PAGES"]
