"""Training networks on grids made on the fly, measuring them, and predicting with them."""

from pg_tf.training.config import PAPER, QUICK, RECIPES, SMALL, Config
from pg_tf.training.evaluation import Evaluation, Score, evaluate
from pg_tf.training.fitting import train
from pg_tf.training.pipeline import load_part
from pg_tf.training.prediction import Predictor, predict, predict_file
from pg_tf.training.run import Run

__all__ = [
    "PAPER",
    "QUICK",
    "RECIPES",
    "SMALL",
    "Config",
    "Evaluation",
    "Predictor",
    "Run",
    "Score",
    "evaluate",
    "load_part",
    "predict",
    "predict_file",
    "train",
]
