"""What comes next for a client who pays nothing."""

from datetime import date

from wisp.tasks.outlook import Open, first_cut, first_notice

NOTICES = [date(2026, 12, 18), date(2027, 1, 18)]
CUTS = [date(2026, 12, 22), date(2027, 1, 22)]


def test_the_due_day_is_still_in_time_and_the_tolerance_is_not_cut() -> None:
    assert first_cut(CUTS, [Open(date(2026, 12, 21), 350)], 0, []) == date(2026, 12, 22)
    assert first_cut(CUTS, [Open(date(2026, 12, 22), 350)], 0, []) == date(2027, 1, 22)
    assert first_cut(CUTS, [Open(date(2026, 12, 1), 350)], 350, []) is None
    assert first_cut(CUTS, [Open(date(2026, 12, 1), 350), Open(date(2026, 12, 31), 1)], 350, []) == date(2027, 1, 22)
    assert first_cut([], [Open(date(2026, 12, 1), 350)], 0, []) is None


def test_promises_and_exclusions_spare_until_their_last_day() -> None:
    old = [Open(date(2026, 11, 20), 350)]
    assert first_cut(CUTS, old, 0, [date(2026, 12, 21)]) == date(2026, 12, 22)
    assert first_cut(CUTS, old, 0, [date(2026, 12, 22)]) == date(2027, 1, 22)
    assert first_cut(CUTS, old, 0, [date(2027, 12, 1)]) is None
    assert first_notice(NOTICES, old, 1, date(2026, 12, 17)) == date(2026, 12, 18)
    assert first_notice(NOTICES, old, 1, date(2026, 12, 18)) == date(2027, 1, 18)


def test_a_notice_counts_what_is_issued_due_or_not() -> None:
    assert first_notice(NOTICES, [Open(date(2026, 12, 30), 350)], 1, None) == date(2026, 12, 18)
    assert first_notice(NOTICES, [Open(date(2026, 12, 30), 350)], 351, None) is None
    coming = [Open(date(2027, 1, 20), 350, issued=date(2027, 1, 15))]
    assert first_notice(NOTICES, coming, 1, None) == date(2027, 1, 18)
