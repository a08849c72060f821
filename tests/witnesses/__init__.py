"""The peers' own clients, as witnesses of our simulator and of our requests."""
