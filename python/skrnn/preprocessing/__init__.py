"""From the data that one has to sequences that networks read, in scikit-learn's manner.

Sequences are in the order samples, time, features. Lists of arrays of different lengths stay lists of arrays.
"""

from skrnn.preprocessing.aeon import from_aeon, to_aeon
from skrnn.preprocessing.frames import FrameSequences, sequences_from_frame
from skrnn.preprocessing.padding import pad_sequences, unpad_sequences
from skrnn.preprocessing.stepwise import Stepwise
from skrnn.preprocessing.tokenizer import Tokenizer
from skrnn.preprocessing.windows import SlidingWindows, Windows

__all__ = [
    "FrameSequences",
    "SlidingWindows",
    "Stepwise",
    "Tokenizer",
    "Windows",
    "from_aeon",
    "pad_sequences",
    "sequences_from_frame",
    "to_aeon",
    "unpad_sequences",
]
