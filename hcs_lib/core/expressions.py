"""Arithmetic over columns, checked before anything evaluates it.

An expression is what `numexpr` evaluates, cut down to what a derived feature needs: numbers, column names,
`+ - * / % **`, comparisons, `& | ~` and the functions in `FUNCTIONS`. Nothing else is accepted, so that
evaluating one can neither run code nor run away.
"""

from __future__ import annotations

import ast
import math

from hcs_lib.core.errors import nearest

FUNCTIONS = {
    **dict.fromkeys(("abs", "sqrt", "exp", "expm1", "log", "log2", "log10", "log1p", "floor", "ceil"), 1),
    **dict.fromkeys(("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"), 1),
    "arctan2": 2,
    "where": 3,
}
"""Functions and how many arguments each takes."""

MAX_LENGTH = 2000

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr)
_UNARY = (ast.UAdd, ast.USub, ast.Invert)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def column_names(expression: str) -> tuple[str, ...]:
    """Check an expression and return the columns it uses, in order of their first use.

    Raises
    ------
    ValueError
        Where it is no arithmetic over columns; the message says which part.
    """
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(expression)} characters; at most {MAX_LENGTH} are allowed")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        names = tuple(dict.fromkeys(_check(tree.body)))
    except SyntaxError as error:
        raise ValueError(f"this is no expression: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise ValueError("the expression is nested too deeply") from None
    if not names:
        raise ValueError("the expression uses no column")
    return names


def _check(node: ast.expr) -> list[str]:
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Constant(value=value):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{value!r} is no number")
            if not math.isfinite(value) or abs(value) >= 2**63:
                raise ValueError(f"{ast.unparse(node)} is too large")
            return []
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATORS):
            names = _check(left) + _check(right)
            if isinstance(op, ast.Pow) and not names:
                raise ValueError(f"{ast.unparse(node)} is a power of numbers only; write its value")
            # Numbers are computed before there is a column: Python raises where an array would hold infinity.
            if isinstance(op, (ast.Div, ast.Mod)) and not _check(right) and not getattr(right, "value", 0):
                raise ValueError(f"{ast.unparse(node)} divides by {ast.unparse(right)}; write a number other than 0")
            return names
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, _UNARY):
            return _check(operand)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, _COMPARISONS):
            return _check(left) + _check(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in FUNCTIONS:
                hint = nearest(name, FUNCTIONS) or f"Known are {', '.join(FUNCTIONS)}."
                raise ValueError(f"unknown function {name!r}. {hint}")
            if len(args) != FUNCTIONS[name]:
                raise ValueError(f"{name} takes {FUNCTIONS[name]} argument(s), not {len(args)}")
            return [found for arg in args for found in _check(arg)]
        case ast.BoolOp():
            raise ValueError("write '&' for 'and', '|' for 'or', with brackets around each comparison")
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic over columns")
