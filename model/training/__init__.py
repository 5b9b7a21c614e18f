"""Optimizers, the loop, checkpoints, one training stage."""
