"""Answers that a judge grades: its endpoint, what it is asked, how its marks are read."""
