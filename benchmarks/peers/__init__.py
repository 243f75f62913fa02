"""What seqkit is measured against, and seqkit itself, behind small interfaces: ``base.Peer`` for taggers,
``text_base.TextPeer`` for classifiers of texts, ``writing_base.WritingPeer`` for writers of texts,
``pair_base.PairPeer`` for encoder-decoders.
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

PAIR_PEERS = {
    "seqkit": "benchmarks.peers.seqkit_pair:SeqkitPair",
    "keras": "benchmarks.peers.keras_pair:KerasPair",
    "torch": "benchmarks.peers.torch_pair:TorchPair",
}

WRITING_PEERS = {
    "seqkit": "benchmarks.peers.seqkit_writer:SeqkitWriter",
    "keras": "benchmarks.peers.keras_writer:KerasWriter",
    "torch": "benchmarks.peers.torch_writer:TorchWriter",
}
