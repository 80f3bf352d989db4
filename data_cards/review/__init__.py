"""People review the predicted entities: decisions, what they say about the dataset, and the page that asks for them."""
