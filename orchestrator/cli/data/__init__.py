"""`ablate data`: the data sets that mixtures are made of, a file a subcommand."""
