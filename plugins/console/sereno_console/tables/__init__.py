"""The console's own tables: accounts, tokens, sessions, what they did, and answers to repeat."""
