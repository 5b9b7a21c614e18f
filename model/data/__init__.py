"""Samples, conversations, mixtures, and where data come from."""
