"""Cut documents into passages: sentences, units of over-long sentences, and how these are joined."""
