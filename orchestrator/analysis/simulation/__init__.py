"""Simulated studies whose truth is known: whether intervals cover and verdicts are wrong as seldom as promised."""
