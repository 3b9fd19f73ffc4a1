"""The world of `indexer demo`; the tests live in it too."""
