"""Settings and inputs of a run in its manifest, the recipe that is written from them, and changes that are refused."""
