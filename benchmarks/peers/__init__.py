"""What seqkit is measured against, and seqkit itself, behind small interfaces: ``base.Peer`` for taggers,
``text_base.TextPeer`` for classifiers of texts, ``writing_base.WritingPeer`` for writers of texts.
"""

#: Name on the command line -> class. Strings, so that a process loads one framework only.
PEERS = {
    "seqkit": "benchmarks.peers.seqkit_tagger:SeqkitTagger",
    "keras": "benchmarks.peers.keras_recipe:KerasRecipe",
    "torch": "benchmarks.peers.torch_tagger:TorchTagger",
    "features": "benchmarks.peers.feature_crf:FeatureCRF",
}

TEXT_PEERS = {
    "seqkit": "benchmarks.peers.seqkit_text:SeqkitText",
    "keras": "benchmarks.peers.keras_text:KerasTextRecipe",
    "torch": "benchmarks.peers.torch_text:PackedText",
    "torch-dense": "benchmarks.peers.torch_text:DenseText",
}

WRITING_PEERS = {
    "seqkit": "benchmarks.peers.seqkit_writer:SeqkitWriter",
    "keras": "benchmarks.peers.keras_writer:KerasWriter",
    "torch": "benchmarks.peers.torch_writer:TorchWriter",
}
