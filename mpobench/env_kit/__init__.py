"""Parts for authors of environments: a base class with settings from TOML, pools and labels of pairs, versions."""
