"""From an image file to tiles and their place in the text, and what an image costs."""
