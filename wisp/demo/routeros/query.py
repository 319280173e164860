"""Query words of print: conditions pushed onto a stack, and operations on it."""

import re
from collections.abc import Callable, Mapping, Sequence

from wisp.demo.routeros.spec import Trap

Condition = Callable[[Mapping[str, str]], bool]
_OPERATION = re.compile(r"\d+|[!&|.]")


def compile_query(words: Sequence[str]) -> Condition:
    """One condition out of the query words (without their `?`): whatever stays on the stack must all be true."""
    stack: list[Condition] = []
    for word in words:
        if word.startswith("#"):
            _operate(stack, word[1:])
        else:
            stack.append(_condition(word))
    left = tuple(stack)
    return lambda row: all(condition(row) for condition in left)


def _condition(word: str) -> Condition:
    if word.startswith("-"):
        name = word[1:]
        return lambda row: name not in row
    if word[:1] in ("<", ">"):
        name, _, value = word[1:].partition("=")
        return _compared(name, value, less=word[0] == "<")
    name, separator, value = word.removeprefix("=").partition("=")
    if not separator:
        return lambda row: name in row
    return lambda row: row.get(name) == value


def _compared(name: str, value: str, *, less: bool) -> Condition:
    def holds(row: Mapping[str, str]) -> bool:
        found = row.get(name)
        if found is None:
            return False
        if found.isdecimal() and value.isdecimal():
            return int(found) < int(value) if less else int(found) > int(value)
        return found < value if less else found > value

    return holds


def _operate(stack: list[Condition], text: str) -> None:
    """`!` not, `&` and, `|` or, a number copies that item (at the end of the word: keeps it alone), `.` doubles."""
    operations = _OPERATION.findall(text)
    if "".join(operations) != text:
        raise Trap("invalid query")
    after_number = False
    for place, operation in enumerate(operations, start=1):
        try:
            _step(stack, operation, last=place == len(operations), after_number=after_number)
        except IndexError:
            raise Trap("invalid query") from None
        after_number = operation.isdecimal()


def _step(stack: list[Condition], operation: str, *, last: bool, after_number: bool) -> None:
    if operation.isdecimal():
        item = stack[-1 - int(operation)]
        if last:
            stack.clear()
        stack.append(item)
    elif operation == ".":
        if not after_number:
            stack.append(stack[-1])
    elif operation == "!":
        item = stack.pop()
        stack.append(lambda row: not item(row))
    else:
        right, left = stack.pop(), stack.pop()
        if operation == "&":
            stack.append(lambda row: left(row) and right(row))
        else:
            stack.append(lambda row: left(row) or right(row))
