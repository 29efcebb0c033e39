"""The pages that a node serves: metrics, health, and a front page that leads to them."""
