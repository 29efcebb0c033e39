"""A service of metadata with a cache in each of its processes, which is cleaned up each hour."""
