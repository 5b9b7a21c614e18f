"""Optimisers, the loop, checkpoints, one training stage."""
