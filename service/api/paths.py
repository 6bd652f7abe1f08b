"""Addresses below which several modules have routes."""

STAGE = "/environments/<environment>/models/<model>/stages/<stage>"
