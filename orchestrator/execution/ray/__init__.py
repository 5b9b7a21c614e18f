"""The only door to Ray: cluster, nodes, slots, jobs, groups of workers."""
