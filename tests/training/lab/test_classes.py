"""Which classes pictures are taken for."""

import numpy as np
import torch
from torch.nn import functional as F

from mien_training.data import Crops
from mien_training.lab import classes, recipes
from mien_training.lab.experiment import Scale, Trial
from mien_training.lab.learning import Shuffled, learn


def test_answers_are_of_the_highest_score_and_wrong_where_they_are_not_the_label() -> None:
    train = Trial(Scale(1, 1)).digits(recipes.DIGIT_SIDE).train
    few = Crops(train.people, train.images[:100], train.labels[:100])
    learner = learn(recipes.digits(1, 3), few, Shuffled(few, 20, 1)).learner
    scores = classes.scores(learner, few)
    answers = classes.answers(learner, few)
    assert scores.shape == (100, 10)
    assert np.array_equal(answers, scores.numpy().argmax(axis=1))
    assert np.array_equal(classes.wrong(learner, few), answers != few.labels)
    by_hand = F.cross_entropy(scores, torch.from_numpy(few.labels)).item()
    assert abs(classes.loss(learner, few) - by_hand) < 1e-5
