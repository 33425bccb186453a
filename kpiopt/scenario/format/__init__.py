"""The format: keys, types and rules of a document, and its JSON Schema."""
