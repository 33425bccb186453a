"""Reading: a file becomes values with places."""
