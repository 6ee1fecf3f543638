"""A local page to see, correct and learn from emotions in recordings: `ser web`."""
