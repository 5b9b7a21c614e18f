"""The command `ablate`: a thin shell over the orchestrator, with one file for each group of subcommands."""
