"""The outcome events: what became of an order goes onto the bus."""
