"""Simulated studies whose truth is known: do intervals cover, and are verdicts wrong as rarely as promised?"""
