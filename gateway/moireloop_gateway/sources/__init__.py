"""Where the gateway has its campaigns from: running services, or what they have left in a folder (pure)."""
