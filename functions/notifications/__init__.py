"""The second doorway: takes what WeChat Pay tells by itself into the orders table, under the same rules."""
