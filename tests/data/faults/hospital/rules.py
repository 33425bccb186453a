import pyomo.environ as pyo


def add_rules(model, scenario):
    """No hospital may get more than two academies."""
    for hospital in ("north", "harbour", "park"):
        levels = [model.level[k] for k in model.level if k.startswith(f"academy@{hospital}")]
        model.add_component(f"academies_{hospital}", pyo.Constraint(expr=sum(levels) <= 2))
