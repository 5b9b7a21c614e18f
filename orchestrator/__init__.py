"""Decides and remembers; knows no tensors."""
