"""Execute attempts: the executors, the code around one attempt, its result record and its metrics."""
