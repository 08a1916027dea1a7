"""Labels that are likely wrong, and images that people disagree about."""

from backend.pages.doubts.page import PAGES

__all__ = ["PAGES"]
