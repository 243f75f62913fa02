"""Pipelines: one recipe a file, each a command of ``python -m seqkit`` by the entry points ``seqkit.pipelines``."""
