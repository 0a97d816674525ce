import numpy as np
import pandas as pd
import pytest

from mammi.micn.alignment import chance_iou, iou, mass, placed, rank_correlations, region, signs_agree
from mammi.micn.rules import Rule, by_class, global_rules, holds, local_rules, measures, right_by_labels, spoken

WORDS, CLASSES = ("blunted angle", "clear", "heart"), ("well", "effusion")


def arrays(truth, relevance, polarity, agreement):
    return [np.array(x, float) for x in (truth, relevance, polarity, agreement)]


ONE = arrays([[.2, .9], [.4, .3], [.8, .7]],
             [[[0, .9], [0, .8], [0, .1]]] * 3, [[[0, .9], [0, .2], [0, .9]]] * 3, [[[0, .9], [0, .95], [0, .5]]] * 3)


def test_a_rule_keeps_what_is_relevant_and_agrees():
    rules = local_rules(ONE)
    assert [[r.cls for r in own] for own in rules] == [[1], [], [0, 1]]
    assert spoken(rules[0][0], CLASSES, WORDS) == "effusion <= blunted angle and not clear"
    assert spoken(rules[2][0], CLASSES, WORDS) == "well <= anything"
    for p, own in enumerate(rules):  # again, slower
        for rule in own:
            kept = [i for i in range(3) if 1 - ONE[1][p, i, rule.cls] < ONE[3][p, i, rule.cls]]
            assert [i for i, *_ in rule.literals] == kept
            assert [positive for _, positive, _ in rule.literals] == [ONE[2][p, i, rule.cls] >= .5 for i in kept]


def test_measures():
    found = measures(local_rules(ONE), ONE[0], np.array([1, 1, 1]))
    assert found["rule_fidelity"].tolist() == [1, 0, 0] and found["rule_coverage"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found["rule_length"], [2, np.nan, 2])


def test_global_rules_count_minterms():
    labels = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1], [1, 0, np.nan]])
    a, b = Rule(1, .9, ((0, True, .9), (1, False, .8))), Rule(1, .7, ((0, True, .3),))
    table = global_rules([[a], [a._replace(truth=.5)], [b], []], np.array([1, 0, 1, 1]), labels, CLASSES, WORDS)
    assert table["rule"].tolist() == ["effusion <= blunted angle and not clear", "effusion <= blunted angle"]
    first = table.iloc[0]
    assert (first["images"], first["right"], first["fulfilled"]) == (2, .5, 3)
    assert first["share"] == pytest.approx(2 / 3)
    assert first["base"] == .75 and table["base"].tolist() == [.75, .75]  # three of four images are of the class
    assert first["truth"] == pytest.approx(.7) and first["right_by_labels"] == pytest.approx(2 / 3)
    assert global_rules([[]], np.array([0]), labels[:1], CLASSES, WORDS).empty
    nothing = global_rules([[]], np.array([0]), labels[:1], CLASSES, WORDS)
    assert set(right_by_labels(nothing).values()) == {None} and by_class(nothing).empty


def test_rules_count_as_often_as_images_have_them():
    table = pd.DataFrame({"class": ["a", "a", "b", "b"], "images": [3, 1, 4, 9], "base": [.7, .7, .3, .3],
                          "right_by_labels": [1, .5, .25, np.nan]})
    assert right_by_labels(table) == {"rules_right_by_labels": pytest.approx((3 + .5 + 1) / 8),
                                      "rules_right_by_labels_base": pytest.approx((4 * .7 + 4 * .3) / 8)}
    found = by_class(table)
    assert found["class"].tolist() == ["a", "b"] and found["rules"].tolist() == [2, 2]
    assert found["images"].tolist() == [4, 13] and found["base"].tolist() == [.7, .3]
    assert found["right_by_labels"].tolist() == pytest.approx([3.5 / 4, .25])


def test_a_rule_holds_where_all_its_literals_do():
    labels = np.array([[1, 0, 0], [1, 1, 0], [np.nan, 0, 0]])
    assert holds(Rule(0, 1, ((0, True, 1), (1, False, 1))), labels).tolist() == [True, False, False]
    assert holds(Rule(0, 1, ()), labels).all()


def test_signs_against_labels():
    rules = [[Rule(1, .9, ((0, True, 1), (1, False, 1), (2, True, 1)))], [Rule(0, .9, ((0, True, 1),))], []]
    labels = np.array([[1, 1, np.nan], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(signs_agree(rules, labels, np.array([1, 1, 0])), [.5, np.nan, np.nan])


def test_regions_mass_and_overlap_on_hand_arrays():
    uniform, where = np.ones((10, 10)), np.zeros((10, 10), bool)
    where[:2] = True
    assert mass(uniform, where) == pytest.approx(.2) and np.isnan(mass(np.zeros((10, 10)), where))
    assert region(np.arange(100).reshape(10, 10)).sum() == 20 and region(np.arange(100).reshape(10, 10))[8:].all()
    assert region(uniform)[:2].all() and iou(region(uniform), where) == 1 and iou(where, ~where) == 0
    rng = np.random.default_rng(0)
    chance = np.mean([iou(region(rng.random((40, 40))), region(rng.random((40, 40)))) for _ in range(30)])
    assert chance == pytest.approx(chance_iou(), abs=.01)


def test_a_map_is_placed_where_the_backbone_looks():
    heat = np.zeros((4, 4))
    heat[0, 3] = 1  # top right
    whole = placed(heat, (80, 80), (0, 0, 80, 80), (8, 8))
    assert np.unravel_index(whole.argmax(), (8, 8)) == (0, 7)
    corner = placed(heat, (80, 80), (60, 0, 80, 20), (6, 6))  # just that cell
    assert corner.max() == 1 and corner.min() > .2
    assert placed(heat, (80, 80), (0, 40, 40, 80), (6, 6)).max() == 0
    wide = placed(np.arange(8.0).reshape(2, 4), (40, 20), (10, 0, 30, 20), (20, 20))  # pixel by pixel
    for y, x in ((0, 0), (10, 10), (19, 3)):
        r, c = np.clip((y + .5) / 10 - .5, 0, 1), np.clip((10 + x + .5) / 10 - .5, 0, 3)
        assert wide[y, x] == pytest.approx(4 * r + c)


def test_rank_correlations_with_ties_and_unknowns():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.random((20, 3)), np.round(rng.random((20, 3)), 1)
    b[3, 0], b[:, 2] = np.nan, 1
    found = rank_correlations(a, b)
    assert found[0] == pytest.approx(spearmanr(np.delete(a[:, 0], 3), np.delete(b[:, 0], 3))[0])
    assert found[1] == pytest.approx(spearmanr(a[:, 1], b[:, 1])[0]) and np.isnan(found[2])
