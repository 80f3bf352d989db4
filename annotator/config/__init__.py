"""All settings of a run: ``settings`` defines them, the other modules read and check what users write."""
