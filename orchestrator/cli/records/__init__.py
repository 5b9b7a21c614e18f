"""Commands about results as records, and beside what papers published."""
