"""Trained runs as folders that serve: exports, what is proven of them, and their formats."""
