"""How pictures are written: elements of SVG, colours in light and dark, texts that fit."""
