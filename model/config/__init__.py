"""Frozen configuration: model, images, mixtures, training stages, evaluation, catalogue. Torch-free."""
