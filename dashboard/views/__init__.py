"""One file a page, each thin: query, chart, show. `frame` holds what they share.

The folder is not called `pages`: until the first `st.navigation` of a server, Streamlit serves a folder of that name as an
application of the old kind, so that a deep link to a fresh server would open a page without its frame.
"""
