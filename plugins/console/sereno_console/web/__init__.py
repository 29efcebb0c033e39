"""Requests, addresses and answers, as pages and the API have them."""
