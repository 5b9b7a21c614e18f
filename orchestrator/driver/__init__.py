"""The driver: it holds the lease, decides with the scheduler, and keeps attempts in flight."""
