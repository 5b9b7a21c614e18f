"""From a snapshot to actions: what starts next, and where. Pure."""
