"""Music: files to scores, scores to what a network reads and back, and scores to files, pictures and sound.

A score is a `symusic.Score` throughout. All of it needs the extra ``[music]``.
"""

from seqkit.music.composer import Composer, Evaluation
from seqkit.music.copying import Copied, TrainingRuns, is_copy
from seqkit.music.picture import write_picture
from seqkit.music.reading import Dropped, Piece, Reading, read_music, read_score
from seqkit.music.representation import Representation, make_representation
from seqkit.music.spelling import read_notes
from seqkit.music.statistics import MusicStatistics, compare_statistics, format_statistics, music_statistics
from seqkit.music.step_files import roll_score, voices_score
from seqkit.music.synthesis import synthesize, write_wav
from seqkit.music.writing import write_midi

__all__ = [
    "Composer",
    "Copied",
    "Dropped",
    "Evaluation",
    "MusicStatistics",
    "Piece",
    "Reading",
    "Representation",
    "TrainingRuns",
    "compare_statistics",
    "format_statistics",
    "is_copy",
    "make_representation",
    "music_statistics",
    "read_music",
    "read_notes",
    "read_score",
    "roll_score",
    "synthesize",
    "voices_score",
    "write_midi",
    "write_picture",
    "write_wav",
]
