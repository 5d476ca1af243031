"""Machinery that knows no area. Private: any of it may change without notice."""
