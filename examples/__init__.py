"""Programs to begin with. Each is run by the tests."""
