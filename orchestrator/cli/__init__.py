"""The command `ablate`: a thin shell over the orchestrator, a file for each group of subcommands."""
