"""Cost by formula: FLOPs, parameters and bytes, before anything runs. Torch-free."""
