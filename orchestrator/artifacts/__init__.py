"""Store checkpoints and results: paths, the object store, its mirror on a worker, and garbage collection."""
