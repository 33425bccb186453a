"""Charts as SVG, one function each, from plain data; every chart is drawn for wide and for narrow places."""
