"""The outbox and MLflow. The only door to MLflow; the flusher is the only writer to it.

- MLflow is written, not read: nothing that is shown or selected on is read back from it, but for `ablate query`, which
  asks it.
- One MLflow experiment for each study (by its name), with one mlflow_run a trial; the MLflow experiment `stages` has
  one mlflow_run an attempt. A trained stage is a LoggedModel, output of its attempt and input of what starts from it.
- Importing `flusher`, `query` or `resync` loads MLflow, which takes one to two seconds: only who needs it does. The
  driver does not: its flusher is a process of its own (`beside`).
"""
