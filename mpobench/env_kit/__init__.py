"""Parts for authors of environments: settings from TOML, labels of pairs, versions, optional abilities."""
