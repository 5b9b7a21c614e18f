"""Judges that grade answers: the endpoint, the prompts, and how replies are read."""
