"""Channels: how messages reach people and programs. Each is an adapter around a library."""
