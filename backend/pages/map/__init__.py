"""The map of all images: look-alikes lie together, and what a lasso takes is sent on."""

from backend.pages.map.page import PAGES

__all__ = ["PAGES"]
