"""Scores as the field reports them."""

from seqkit.metrics.entities import (
    EntityCounts,
    EntityScores,
    TypeScores,
    entity_counts,
    entity_f1,
    entity_scores,
    token_accuracy,
)

__all__ = [
    "EntityCounts",
    "EntityScores",
    "TypeScores",
    "entity_counts",
    "entity_f1",
    "entity_scores",
    "token_accuracy",
]
