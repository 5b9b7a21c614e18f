"""Artifacts: every path of the store, its folder, mirror and garbage."""
