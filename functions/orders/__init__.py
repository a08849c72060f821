"""Tells WeChat PayScore that an order was paid at the till, exactly once and exactly as it happened."""
