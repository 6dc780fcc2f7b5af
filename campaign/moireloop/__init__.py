"""What a person touches: the campaign file, the service set, the CLI and the client."""
