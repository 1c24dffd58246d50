"""Built-in scenarios, one TOML file a question.  Data only."""
