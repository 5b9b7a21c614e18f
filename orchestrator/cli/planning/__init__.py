"""Commands on what a study will take before it runs."""
