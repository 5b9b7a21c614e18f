"""Commands that export and import results, and compare them with published ones."""
