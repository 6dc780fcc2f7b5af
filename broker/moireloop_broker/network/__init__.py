"""Between hosts: addresses of this machine, ports, certificates, and what keeps a connection alive (pure)."""
