"""From an image file to tiles, and where they stand in the text."""
