"""All parts of a cluster as processes of one host: what `ablate up` starts, and `ablate down` ends."""
