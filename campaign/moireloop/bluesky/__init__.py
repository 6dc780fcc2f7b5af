"""Campaigns for experimenters: event-model documents, and a device for bluesky's RunEngine (pure)."""
