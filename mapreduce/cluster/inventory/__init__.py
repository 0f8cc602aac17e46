"""hosts.toml: which hosts there are, how each is reached, what it may use. Nothing connects."""
