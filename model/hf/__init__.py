"""The whole model in transformers' format: configuration, model with `generate`, processor, and their registration."""
