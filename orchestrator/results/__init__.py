"""What was found, what it cost, and what is left to do; report, campaign, budget."""
