"""Photo sets of others under one record: loaders that check what is there and read lazily."""
