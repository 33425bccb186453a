"""Every tolerance that a program's answer is judged by, on one page, and which must be smaller than which.

All are shares: of the largest term of a row, of a bound, or of a value's size, so that units of measure do not matter;
where one is not, it says so. `ORDER` says why each has its place; a test holds it. What an answer is refined to stands
far below what is checked, so that it is not refused for the last digits of another machine.
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
"""A limit is used up where less than this share of it is left, or of 1 where it is smaller, and broken where more is
missing: `is_used_up`, `is_exceeded`. Compared with: limit and use. Source: `CERTIFIED`, as uses are no better known."""

OTHER_SOLVER = 1e-7
"""Largest difference of another solver's value that is an agreement. Compared with: the certified value as a share of
its size. Source: the tolerances of the solvers that Pyomo finds, 1e-6 to 1e-9."""

ASKED_FOR = 1e-9
"""What the solver is asked for, in the scaled program. Compared with: rows, bounds and reduced costs. Source: the least
it reaches without more refinement; the ladder of `SOLVED` judges what it gives."""

ROWS_REFINED = 1e-11
"""Error of rows at which an answer is not refined any more. Compared with: estimated errors of rows. Source: a
hundredth of what is certified, so that the steps after it have room."""

GAP_REFINED = 1e-12
"""Error of the gap at which an answer is not refined any more. Compared with: the estimated gap. Source: a thousandth
of what is certified: later steps stand on the values of earlier ones."""

LAST_DIGITS = 1e-15
"""The least share that is ever told from rounding. Compared with: errors of an answer that is refined as far as floats
carry, and duals as a share of an objective's largest change. Source: eight times 2^-53."""

OF_TERMS = 1e-13
"""Share of its own terms below which a reduced cost is rounding. Compared with: reduced costs of a step's face. Source:
answers are as precise as floats can be by then, a thousand roundings of 2^-53."""

CLOSER_DUAL = 1e-13
"""`ROUNDED_DUAL` where the plan that it leads to is not certified. Compared with: the same duals. Source: a thousand
roundings of 2^-53."""

PROOF_ROUNDING = 1e-13
"""Least margin at which a proof that there is no plan is believed at all. Compared with: the excess as a share of what
the rows ask. Source: rounding; below `BORDERLINE` it is told as borderline, and is not published as a proof."""

PROOF_NOISE = 1e-11
"""Share of its terms below which a column has no part in a proof that there is no plan. Compared with: weights of the
proof's sides. Source: what the solver leaves of weights that cancel."""

VALUE_RESIDUE = 1e-12
"""Below this an objective's value is 0. Compared with: a step's value, no share.
Source: values are sums of terms of size about 1 or larger."""

AT_SIDE = 1e-10
"""A value of the last step is at a side where it is nearer to it than this share of its size (at least 1), and an error
as small is none. Compared with: columns and rows, and the error of a plan. Source: a tenth of what is certified."""

LEAVES_SIDE = 1e-11
"""A dual of the last step above this holds its side. Compared with: reduced costs and slacks of rows, the latter as a
share of a row's value (at least 1). Source: a hundredth of what is certified."""

SIGN_OF_DUAL = 1e-9
"""A multiplier of the last step may have the wrong sign by this. Compared with: multipliers of rows, no share. Source:
`CERTIFIED`; what is worse lets its side go."""

KEEPS_AWAY = 1e-9
"""Share of an objective's size (at least 1) by which a limit keeps away from where a step loses its value. Compared
with: a step's value at the end of a limit's range. Source: `CERTIFIED`."""

ROW_KEPT = 1e-9
"""Share of its size by which a rounded plan may miss a row and keep it. Compared with: what a row lacks. Source:
`CERTIFIED`, as for the plan before it was rounded."""

REPAIR_NOISE = 1e-10
"""What less than this share of a price gives is no repair, and what a repair's penalty leaves is none. Compared with:
what a handle gives, and the penalty. Source: a tenth of what is certified."""

SAME_PRICE = 1e-9
"""Share by which prices of repairs may differ and be the same. Compared with: prices. Source: `CERTIFIED`."""

SAME_PLACE = 1e-9
"""Share of its size by which two kinks of a row's prices may differ and be the same. Compared with: sides of a row.
Source: `CERTIFIED`, as sides are no better known."""

PRICE_NOISE = 1e-9
"""A dual is a price where a limit's whole size times it moves the step's value by more than this share. Compared with:
duals. Source: `CERTIFIED`, as values are no better known."""

WHOLE = 1e-6
"""Distance from a whole number that the solver's tolerances explain. Compared with: levels of a relaxation, no
share. Source: the customary tolerance of branch and bound; what is published is solved again with the levels fixed."""

FACE_ROOM = 1e-6
"""Share of its reach by which a face is widened to look for its other ends. Compared with: rows and boxes of a face.
Source: far above the solver's errors, far below what is told."""

MOVES = 1e-6
"""A value moves where its part of a direction is larger than this. Compared with: entries of directions within a face.
Source: as `FACE_ROOM`."""

CERTAIN_MARGIN = 1e-12
"""Share of its size by which the margin of a goal that nothing uncertain reaches may differ between draws. Compared
with: the goal's margins. Source: what a few thousand operations on figures of 16 digits add up to."""

SAME_AGAIN = 1e-9
"""Share of its size by which a figure that is computed again may differ and be the same. Compared with: stored targets,
values, odds and rows. Source: `CERTIFIED`; another processor may sum in another order."""

ORDER = (
    ("LAST_DIGITS", "ROW_SLIP", "a row is a sum of terms that are rounded"),
    ("LAST_DIGITS", "OF_TERMS", "terms that cancel leave more than one rounding"),
    ("LAST_DIGITS", "CLOSER_DUAL", "what is dropped at last must be told from rounding"),
    ("CLOSER_DUAL", "ROUNDED_DUAL", "the second look drops less than the first"),
    ("OF_TERMS", "ROUNDED_DUAL", "what counts against its terms may be small beside the objective"),
    ("GAP_REFINED", "ROWS_REFINED", "the value of a step is a limit of the next"),
    ("ROWS_REFINED", "SOLVED", "an answer is refined further than it must be"),
    ("ROWS_REFINED", "ASKED_FOR", "refinement begins where the solver ends"),
    ("PROOF_ROUNDING", "BORDERLINE", "a borderline proof is more than rounding"),
    ("PROOF_NOISE", "BORDERLINE", "sides that are left out may not carry a proof"),
    ("VALUE_RESIDUE", "CERTIFIED", "a value that counts as 0 must be certified as 0"),
    ("LEAVES_SIDE", "AT_SIDE", "a dual may hold a side only where the value is at it"),
    ("AT_SIDE", "CERTIFIED", "a value that counts as at its side must be certified there"),
    ("REPAIR_NOISE", "SAME_PRICE", "what is no repair may not decide between two that cost the same"),
    ("CERTIFIED", "WHOLE", "a level that is certified as whole must be seen as whole"),
    ("CERTIFIED", "FACE_ROOM", "a face must have room for every plan that is certified in it"),
    ("CERTIFIED", "MOVES", "what only the certificate's slack lets move does not move"),
    ("CERTAIN_MARGIN", "CERTIFIED", "what is certain must stay so in a certified plan"),
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
"""(smaller, larger, why); `SOLVED`, `USED_UP` and others that say so are `CERTIFIED` itself."""


def is_used_up(limit: float, used: float) -> bool:
    """Whether nothing of a limit is left; everything that says "used up" asks here."""
    return bool(limit - used <= USED_UP * max(1.0, abs(limit)))


def is_exceeded(limit: float, used: float) -> bool:
    """Whether more of a limit is used than there is."""
    return bool(used - limit > USED_UP * max(1.0, abs(limit)))
