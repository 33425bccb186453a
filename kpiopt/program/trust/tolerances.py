"""Every tolerance that a program's answer is judged by, on one page, and which must be smaller than which.

All are shares: of the largest term of a row, of a bound, or of a value's size, so that units of measure do not matter.
`ORDER` says why each has its place; a test holds it. What a solver is asked for stands far below what is checked, so
that an answer is not refused for the last digits of another machine.
"""

from __future__ import annotations

CERTIFIED = 1e-9
"""Largest residual and gap of a published answer. Compared with: the residual of each row and bound as a share of its
largest term, and the duality gap as a share of the step's size. Source: the promise of `kpiopt verify`."""

BORDERLINE = 2e-7
"""Least margin of a proof that there is no plan. Compared with: the excess as a share of what the rows ask. Source:
limits that clash by less come from rounded figures; planners write six digits."""

ROW_SLIP = 1e-14
"""Share of its largest terms by which a row may be missed in the proof of whole numbers. Compared with: the residual
of a row at a choice. Source: a hundred roundings of 2^-53."""

VALUE_SLIP = 1e-12
"""Share of its size by which a limit on an earlier step may be missed, and by which a value counts as kept. Compared
with: a step's value at a plan. Source: what a few thousand operations on figures of 16 digits add up to."""

PROVED_CHOICE = 1e-10
"""Gap at whole-number choices that are ruled out. Compared with: the bound of a node of the tree as a share of the
step's size. Source: a tenth of what is certified, so that no choice is both ruled out and published."""

SAME_REFERENCE = 1e-7
"""Shares by which values of the last step may differ and be a tie, decided by id. Compared with: values of whole-
number choices. Source: the square root of what they are computed to."""

ROUNDED_DUAL = 1e-11
"""Duals below this share of an objective's largest change are the solver's rounding. Compared with: the duals of a
step. Source: the solver's own tolerance times a tenth."""

NEAR_SIDE = 1e-7
"""A value is at a side where it is nearer to it than this share of its range. Compared with: columns and rows of a
step's face. Source: far above the solver's errors, far below a step of any target."""

SIDES_MEET = 1e-11
"""Sides that cross by less than this share of their size are equal. Compared with: lower and upper side after
substitution. Source: rounding of long sums; what is larger is a clash and has to be proved."""

KEEPS_LIMITS = 1e-11
"""Largest residual of a known plan that is taken to keep the limits of another program. Compared with: its scaled
residual. Source: a hundredth of what is certified, as it is certified afterwards."""

SOLVED = 1e-9
"""Errors of an answer that is handed on to be certified. Compared with: estimated errors of rows and of the gap.
Source: `CERTIFIED`; what is worse goes to the next rung of the ladder."""

USED_UP = 1e-9
"""A limit is used up where less than this share of it is left, and broken where more is missing. Compared with: limit
and use. Source: `CERTIFIED`, as uses are no better known."""

OTHER_SOLVER = 1e-7
"""Largest difference of another solver's value that is an agreement. Compared with: the certified value as a share of
its size. Source: the tolerances of the solvers that Pyomo finds, 1e-6 to 1e-9."""

ORDER = (
    ("ROW_SLIP", "VALUE_SLIP", "a value is a sum over rows"),
    ("VALUE_SLIP", "CERTIFIED", "what counts as kept must be certified as kept"),
    ("PROVED_CHOICE", "CERTIFIED", "no choice may be both ruled out and published"),
    ("ROUNDED_DUAL", "CERTIFIED", "duals that are dropped may cost less than the gap that is allowed"),
    ("SIDES_MEET", "CERTIFIED", "sides made equal may move rows by less than the residual that is allowed"),
    ("KEEPS_LIMITS", "CERTIFIED", "a carried plan is certified in its new program"),
    ("SIDES_MEET", "BORDERLINE", "what is taken for equal may never be a proof that there is no plan"),
    ("CERTIFIED", "BORDERLINE", "a plan that passes may not be proved impossible"),
    ("CERTIFIED", "NEAR_SIDE", "a side that a certified value touches must be seen as touched"),
    ("CERTIFIED", "SAME_REFERENCE", "values that are not told apart are a tie"),
    ("CERTIFIED", "OTHER_SOLVER", "a second opinion is no better known than the first"),
)
"""(smaller, larger, why); `SOLVED` and `USED_UP` are `CERTIFIED` itself."""
