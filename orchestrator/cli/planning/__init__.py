"""Commands that say what a study will cost, before it runs."""
