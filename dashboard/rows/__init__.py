"""Tables of the pages: one row a mapping of columns. Numbers stay numbers, so that they sort as numbers."""
