"""Draw values as Plotly figures. Pure; only this folder imports plotly.

- The colours are those of Okabe and Ito, with one set for light and one for dark pages, and a contrast of at least 3:1.
  Every series also has its own symbol, dash or word.
- Names are written by people, and Plotly interprets some HTML in labels, so every name is escaped.
- `uirevision` names what is drawn, so that a refresh keeps the zoom.
"""
