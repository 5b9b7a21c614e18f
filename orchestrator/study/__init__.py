"""Documents: study, recipe, scale, campaign and catalogue, from YAML to checked values."""
