"""Tables and figures of the papers, each a job of `ser reproduce`; their published figures are in published.toml."""
