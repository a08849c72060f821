"""A day in the life of the simulated WeChat Pay: thousands of orders in 24 hours of a driven clock."""
