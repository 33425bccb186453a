"""The strategy map as a picture: what stands on it, where, and how it is drawn and exported."""
