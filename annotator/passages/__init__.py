"""From documents to passages: sentences, the units they are cut into where too long, and how these are joined."""
