"""`ablate data`: the data sets that mixtures draw from, with one file for each subcommand."""
