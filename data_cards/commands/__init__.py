"""Commands about a dataset. They are light to import: what a command needs is imported when it runs."""
