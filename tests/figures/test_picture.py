"""The two pictures of a run, of methods that select images and of those that select none."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mammi import picture
from mammi.cache import Cache
from mammi.picture import LEGEND, NO_SELECTION, neuron_picture, score_plot
from mammi.types import Annotations
from tests.tiny import ACTIVATIONS, NEURONS, TinyTarget, evidence


@pytest.fixture
def saved(monkeypatch):
    """The figures that were saved, instead of files."""
    figures = []
    monkeypatch.setattr(picture, "_save", lambda fig, path: figures.append(fig))
    yield figures
    plt.close("all")


def annotations(n=3, selected=None):
    words = [["effusion", "mass"], [], []][:n]
    return Annotations(NEURONS[:n], words, [[.5, .4], [], []][:n], ["ok", "empty", "dead"][:n], selected)


def below(axes):
    """The activations that stand below images."""
    return [float(ax.get_xlabel()) for ax in axes if ax.images]


def draw(found, folder, **parts):
    neuron_picture(found, evidence(Cache(folder), **parts), pd.DataFrame({"neuron": range(len(found.neurons))}), None)


def test_selected_images_are_shown_highest_first(saved, tmp_path):
    selected = np.zeros((5, 3), bool)
    selected[[1, 3], 0] = selected[[0, 4], 1] = True
    draw(annotations(selected=selected), tmp_path)
    assert below(saved[0].axes) == [10, 9.2, 3, 2.9]
    assert LEGEND[:40] in " ".join(text.get_text() for text in saved[0].texts)


def test_without_a_selection_the_highest_of_all_are_shown_and_none_of_a_dead_neuron(saved, tmp_path):
    draw(annotations(), tmp_path)
    assert below(saved[0].axes) == sorted(ACTIVATIONS[:, 0], reverse=True) + sorted(ACTIVATIONS[:, 1], reverse=True)
    assert NO_SELECTION[:40] in " ".join(text.get_text() for text in saved[0].texts)
    assert not any(len(ax.images) for ax in saved[0].axes[12:])


def test_the_legend_stays_within_the_picture(saved, tmp_path):
    draw(annotations(), tmp_path)
    fig = saved[0]
    fig.canvas.draw()
    for text in fig.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 and box.x1 <= fig.bbox.x1 and 0 <= box.y0 and box.y1 <= fig.bbox.y1, text.get_text()


def test_long_words_are_cut(saved, tmp_path):
    draw(Annotations(NEURONS[:1], [["w" * 60, "short"]], [[.5, .4]], ["ok"]), tmp_path,
         target=TinyTarget(ACTIVATIONS[:, :1]))
    words = [text.get_text() for text in saved[0].axes[0].texts]
    assert words == ["Effusion", "w" * 24 + "…  0.50", "short  0.40"]


def test_scores_alone_where_nothing_is_selected(saved, tmp_path):
    score_plot(annotations(), evidence(Cache(tmp_path)), None)
    score_plot(annotations(selected=np.ones((5, 3), bool)), evidence(Cache(tmp_path)), None)
    titles = [[ax.get_title() for ax in fig.axes] for fig in saved]
    assert titles == [["score of the best word"], ["images selected", "score of the best word"]]


@pytest.mark.parametrize("n", [1, 3, 60])
def test_neurons_without_any_word_are_drawn(saved, tmp_path, n, monkeypatch):
    monkeypatch.setattr(picture, "SHOWN", 4)
    seen = evidence(Cache(tmp_path), target=TinyTarget(np.arange(5 * n).reshape(5, n)))
    found = Annotations(seen.neurons, [[]] * n, [[]] * n, ["empty"] * n)
    score_plot(found, seen, None)
    neuron_picture(found, seen, pd.DataFrame({"neuron": range(n)}), None)
    assert [text.get_text() for text in saved[0].axes[0].texts] == ["no neuron has a word"]
    assert len(below(saved[1].axes)) == 5 * min(n, 4)
