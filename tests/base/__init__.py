"""The base migration, drafted from models. A whole squash each."""
