"""The pages, one file each: query, chart, show. `shared` holds what they have in common.

The folder is not called `pages`: until the first `st.navigation` of a server, Streamlit treats a folder of that name as
a multipage app of the old kind, so a deep link to a new server would open a page without its navigation.
"""
