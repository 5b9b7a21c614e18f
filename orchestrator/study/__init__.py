"""Read and check the YAML documents: study, recipe, scale, published results, campaign and catalogue."""
