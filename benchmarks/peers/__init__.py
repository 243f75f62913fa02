"""The taggers that seqkit is measured against, and seqkit itself, all behind one small interface (``base.Peer``)."""

#: Name on the command line -> class. Strings, so that a process loads one framework only.
PEERS = {
    "seqkit": "benchmarks.peers.seqkit_tagger:SeqkitTagger",
    "keras": "benchmarks.peers.keras_recipe:KerasRecipe",
    "torch": "benchmarks.peers.torch_tagger:TorchTagger",
    "features": "benchmarks.peers.feature_crf:FeatureCRF",
}
