"""Data sets on disk, in object stores and on the Hugging Face hub: rows by number, in whatever format."""
