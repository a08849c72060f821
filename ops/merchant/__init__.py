"""Store and rotate a merchant's keys: read the merchant platform's files, judge whether they belong together, write."""
