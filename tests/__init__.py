"""Tools shared by the tests."""
