"""One file a page, each thin: query, chart, show. `frame` holds what they share."""
