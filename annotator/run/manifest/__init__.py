"""What the manifest has of a run: settings and inputs, the recipe made of them, and what a next run may not change."""
