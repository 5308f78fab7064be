"""Figures: published tables -> SVG, PDF and PNG, and the exact CSV behind each."""
