"""Statistics, selection and claims: pure functions of scores."""
