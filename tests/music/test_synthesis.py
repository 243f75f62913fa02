"""Sound: pitch, time and loudness measured in the samples."""

import os
import wave

import numpy as np
import pytest
from symusic import Note, Score, Tempo, Track

from seqkit.errors import DataError, ParameterError
from seqkit.music.synthesis import _seconds, synthesize, write_wav
from seqkit.music.writing import tidy_score

RATE = 22_050
RELEASE = 0.08


def score(notes, tempos=((0, 60),), **options):
    """At 60 quarters per minute 480 ticks are a second."""
    made = Score(480)
    made.tracks.append(Track(**options))
    for time, duration, pitch, *velocity in notes:
        made.tracks[0].notes.append(Note(time, duration, pitch, *(velocity or [100])))
    made.tempos = [Tempo(*tempo) for tempo in tempos]
    return made


def spectrum(sound, start, end, rate=RATE):
    """Frequencies and magnitudes of a part in seconds, the greatest 1."""
    part = sound[int(start * rate) : int(end * rate)]
    magnitudes = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return np.fft.rfftfreq(len(part), 1 / rate), magnitudes / magnitudes.max()


@pytest.mark.parametrize(("pitch", "hertz"), [(69, 440.0), (57, 220.0), (60, 261.6256)])
def test_pitch(pitch, hertz):
    frequencies, magnitudes = spectrum(synthesize(score([(0, 960, pitch)])), 0.2, 1.2)
    assert abs(frequencies[magnitudes.argmax()] - hertz) <= 1  # a second: bins of one hertz


def test_harmonics_fall():
    frequencies, magnitudes = spectrum(synthesize(score([(0, 960, 69)])), 0.2, 1.2)
    found = [magnitudes[np.abs(frequencies - 440 * k).argmin()] for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [1, 2**-1.5, 3**-1.5, 4**-1.5], rtol=0.01)


def test_nothing_is_folded_down_from_above_half_the_sample_rate():
    """C8, 4186 Hz: the third harmonic, 12558 Hz, would be heard at 22050 - 12558 = 9492 Hz."""
    frequencies, magnitudes = spectrum(synthesize(score([(0, 960, 108)])), 0.2, 1.2)
    near = np.abs(frequencies - 4186) < 20
    octave = np.abs(frequencies - 8372) < 20
    assert magnitudes[near].max() == 1
    assert magnitudes[octave].max() == pytest.approx(2**-1.5, rel=0.05)
    assert magnitudes[~near & ~octave].max() < 1e-3
    # At twice the rate it is there, where it belongs.
    frequencies, magnitudes = spectrum(synthesize(score([(0, 960, 108)]), 2 * RATE), 0.2, 1.2, 2 * RATE)
    assert magnitudes[np.abs(frequencies - 12558) < 20].max() == pytest.approx(3**-1.5, rel=0.05)


def test_notes_above_all_hearing_are_silence():
    sound = synthesize(score([(0, 480, 127)]), 8000)  # 12.5 kHz
    assert len(sound) == 8640 and not sound.any()


@pytest.mark.parametrize(
    ("tempos", "seconds"),
    [([], 0.6 * 4), ([(0, 60)], 4), ([(0, 120)], 2), ([(0, 120), (480, 60)], 0.5 + 3), ([(960, 240)], 2 * 0.5 + 0.5)],
)
def test_length_in_seconds_by_tempo(tempos, seconds):
    sound = synthesize(score([(0, 240, 69), (480, 1440, 69)], tempos))
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert len(sound) == pytest.approx((seconds + RELEASE) * RATE, abs=1)


def test_notes_begin_by_tempo():
    """Quarters 0 and 2; the second half as fast from quarter 1 on: 0 and 0.5 + 1 seconds."""
    sound = synthesize(score([(0, 48, 69), (960, 48, 69)], [(0, 120), (480, 60)]))
    loud = np.flatnonzero(np.abs(sound) > 0.01) / RATE
    begins = loud[np.append(True, np.diff(loud) > 0.5)]
    np.testing.assert_allclose(begins, [0, 1.5], atol=0.005)


def test_seconds_are_those_of_symusic():
    rng = np.random.default_rng(0)
    tempos = [(int(time), float(rng.uniform(30, 200))) for time in rng.integers(0, 5000, 20)]
    notes = [(int(time), 1, 60) for time in np.unique(rng.integers(0, 8000, 50))]
    tidy = tidy_score(score(notes, tempos))
    expected = [note.time for note in tidy.to("second").tracks[0].notes]
    np.testing.assert_allclose(_seconds(tidy, tidy.tracks[0].notes.numpy()["time"]), expected, atol=1e-4)


def test_silence_between_notes():
    sound = synthesize(score([(240, 240, 69), (960, 240, 64)]))
    silent = [(0, 0.5), (1 + RELEASE, 2)]
    for start, end in silent:
        assert not sound[int(start * RATE) + 1 : int(end * RATE)].any()
    for start, end in [(0.52, 1), (2.02, 2.5)]:
        assert np.abs(sound[int(start * RATE) : int(end * RATE)]).max() > 0.3
    assert np.abs(sound).max() == pytest.approx(0.9)


@pytest.mark.parametrize("ticks", [1, 3, 100, 477])
def test_ends_do_not_click(ticks):
    """Within the release no sample jumps more than while the note is held; it ends at zero, and so it begins."""
    sound = synthesize(score([(0, ticks, 45)])).astype(float)
    jumps = np.abs(np.diff(np.concatenate([[0], sound, [0]])))
    end = int(ticks / 480 * RATE)
    assert jumps[0] < 0.01 and jumps[-1] < 0.001
    if ticks > 50:
        assert jumps[end:].max() <= jumps[:end].max()
    else:  # let go while it still rises
        assert jumps.max() < 0.2


def test_velocity_is_loudness():
    sound = synthesize(score([(0, 240, 69, 127), (960, 240, 69, 32)]))
    first, second = (np.abs(part).max() for part in (sound[: 2 * RATE], sound[2 * RATE :]))
    assert first == pytest.approx(0.9) and second / first == pytest.approx(32 / 127, rel=1e-3)


def test_voices_add():
    low, high = [(0, 480, 60)], [(0, 480, 67, 50)]
    both = synthesize(score(low + high)).astype(float)
    apart = [synthesize(score(notes)).astype(float) for notes in (low, high)]
    # Each is scaled to its peak: the chord must be a mixture of the two.
    mixture = np.stack(apart, 1)
    weights, *_ = np.linalg.lstsq(mixture, both, rcond=None)
    np.testing.assert_allclose(mixture @ weights, both, atol=1e-6)
    assert (weights > 0.1).all()


def test_long_and_short_notes_of_a_pitch_are_alike_until_the_end():
    sound = synthesize(score([(0, 480, 60), (960, 120, 60)]))
    np.testing.assert_allclose(sound[2 * RATE :][: RATE // 4], sound[: RATE // 4], atol=1e-6)


def test_drums_are_noise_without_pitch():
    sound = synthesize(score([(0, 1920, 36), (480, 10, 38)], is_drum=True))
    assert len(sound) == pytest.approx(1.15 * RATE, abs=1)
    _, magnitudes = spectrum(sound, 0, 0.15)
    assert np.median(magnitudes) > 0.05  # of a tone nearly all is near zero
    assert not sound[int(0.15 * RATE) + 1 : RATE].any()
    np.testing.assert_array_equal(sound, synthesize(score([(0, 1920, 36), (480, 10, 38)], is_drum=True)))


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_wav_is_read_back(rate, tmp_path):
    piece = score([(0, 480, 69)])
    write_wav(piece, tmp_path / "a.wav", rate)
    assert os.listdir(tmp_path) == ["a.wav"]
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
        assert file.getnframes() == pytest.approx(1.08 * rate, abs=1)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    np.testing.assert_allclose(samples / 32767, synthesize(piece, rate), atol=1 / 32767)
    assert abs(int(np.abs(samples).max()) - 0.9 * 32767) <= 1


@pytest.mark.parametrize("rate", [0, 7999, 192_001, 22_050.0, "22050", None])
def test_sample_rates_that_are_none(rate):
    with pytest.raises(ParameterError, match="sample_rate must be an integer between 8000 and 192000"):
        synthesize(score([(0, 480, 69)]), rate)


def test_what_cannot_be_played(tmp_path):
    with pytest.raises(DataError, match="no notes"):
        write_wav(score([]), tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"lasts 1000\.0 hours"):
        write_wav(score([(0, 1000 * 3600 * 480, 60)]), tmp_path / "a.wav")
    assert os.listdir(tmp_path) == []
