"""SavedModels for TensorFlow Serving: written whole, checked in TensorFlow's C++ runtime, described by a manifest.

``runtime``
    A SavedModel in the C++ runtime, without TensorFlow's Python; needs nothing else of this package.
``check``
    Runs every signature of a SavedModel there, in a clean process, and compares.
``warmup``
    The file of requests that TensorFlow Serving sends to a model before any user does.
``writer``
    One export: a temporary folder, the check, then the next version by rename.
``manifest``
    What a model folder says about itself.
"""
