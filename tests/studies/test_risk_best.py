"""The best odds that a study of what odds cost tells are no lower than those of any plan that it found."""

import numpy as np

import kpiopt
from kpiopt.studies import risk
from tests.studies.test_risk_exact import DISCRETE


def test_the_best_odds_are_those_of_the_best_plan_that_was_found(tmp_path):
    """Whatever the search for the best odds ends with: all draws are hit with 20 of i and what j has to add."""
    path = tmp_path / "best.toml"
    path.write_text(DISCRETE.replace("limit = 600", "limit = 480"))
    scenario = kpiopt.load(path)
    at = np.zeros(0), np.array([20.0, 8.0])
    own = kpiopt.solve(kpiopt.load(path, overrides=["odds.p_min=0.99"]), simulate=False)
    study = risk.study_risk(scenario, plan=at)
    assert study.best >= own.promises[0].planned
    assert study.best >= risk.odds_of(own.cascade, at) and study.best >= max(p.planned for p in study.prices)
