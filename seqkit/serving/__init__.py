"""Exported models behind TensorFlow Serving's protocols: a local server, a client, and the settings of both."""

from seqkit.serving.client import Client
from seqkit.serving.server import Server

__all__ = ["Client", "Server"]
