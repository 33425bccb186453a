"""Draws that plans are made on."""
