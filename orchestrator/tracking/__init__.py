"""Tracking: the flusher that sends the outbox to MLflow, and queries of MLflow. No other package imports MLflow.

- Results are written to MLflow and never read back from it for display or selection. Only `ablate query` reads from it.
- Each study has one MLflow experiment (by its name), with one mlflow_run a trial. The MLflow experiment `stages` has
  one mlflow_run an attempt. The checkpoint of a training stage is a LoggedModel: an output of its attempt, and an input
  of the attempts that start from it.
- Importing `flusher`, `query` or `resync` loads MLflow, which takes one to two seconds. The driver avoids this: its
  flusher is a separate process (`flusher_process`).
"""
