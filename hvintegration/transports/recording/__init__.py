"""Conversations with a host, kept in a file and answered from it."""
