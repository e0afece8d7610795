"""A caller that does nothing but send groups, until it is killed: ``python -m tests.faults.caller FIRST_NUMBER``."""

from __future__ import annotations

import itertools
import sys

from tests.faults.breaking import GROUP_SIZE
from tests.faults.faultapp import part

from umbel import group


def main() -> None:
    for number in itertools.count(int(sys.argv[1])):
        group([part.s(number, index) for index in range(GROUP_SIZE)]).apply_async()


if __name__ == "__main__":
    main()
