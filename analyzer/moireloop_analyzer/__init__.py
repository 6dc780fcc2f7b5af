"""From a frame to its layers, their twist and their order."""
