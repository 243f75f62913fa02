"""Prediction over files of any size, in shards: nothing lost, doubled or cut."""
