"""What the benches share: the server, the contenders as processes, the rounds, the tables."""
