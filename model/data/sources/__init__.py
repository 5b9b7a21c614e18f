"""Data sets on disk, in object stores and on the hub: rows by number, whatever they are stored in."""
