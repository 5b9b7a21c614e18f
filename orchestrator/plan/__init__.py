"""From a study to arms, trials and stages, their identities and their cost. Pure and torch-free."""
