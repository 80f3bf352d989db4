"""The embedded teacher: underthesea's CRF model and rules, without a key or a network."""
