"""Plan a study: its arms, trials and stages, their identities and their cost. Pure; nothing here imports torch."""
