"""Measurements that need Ray: messages between actors, and actors against one process."""
