"""The books tick by what the ledger gained, whatever order its entries were committed in."""

from point_local.console.books import KINDS, SETTLED_SECONDS, Books, Line


class Ledger:
    """Answers as the database would: the last entry, and sums by kind between two entries."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[str, int]] = {}

    def __call__(self, question: str) -> list[tuple[object, ...]]:
        words = question.split()
        if "MAX(entry_id)," in words[1] + words[2]:
            return [(max(self.entries, default=0),)]
        after, last = int(words[words.index(">") + 1]), int(words[words.index("<=") + 1])
        chosen = [e for number, e in self.entries.items() if after < number <= last]
        sums = {k: [points for kind, points in chosen if kind == k] for k in KINDS}
        return [(k, len(points), sum(points)) for k, points in sums.items() if points]


def test_only_what_came_since_the_page_opened_is_counted() -> None:
    ledger, books = Ledger(), Books()
    ledger.entries[1] = ("EARN", 1000)
    assert books.read(ledger)["EARN"] == Line()
    ledger.entries |= {2: ("EARN", 500), 3: ("USE", 20), 4: ("USE", 30), 5: ("EXPIRE", 7)}
    now = books.read(ledger)
    assert (now["EARN"], now["USE"]) == (Line(entries=1, points=500), Line(entries=2, points=50))
    assert (now["EXPIRE"], now["CANCEL_USE"]) == (Line(entries=1, points=7), Line())


def test_an_entry_that_is_committed_after_later_ones_is_counted_once() -> None:
    now = 0.0
    ledger, books = Ledger(), Books(lambda: now)
    books.read(ledger)
    ledger.entries[2] = ("EARN", 5)
    books.read(ledger)
    ledger.entries[1] = ("EARN", 3)
    for _ in range(8):
        now += SETTLED_SECONDS / 2
        assert books.read(ledger)["EARN"] == Line(entries=2, points=8)
    ledger.entries[3] = ("EARN", 1)
    assert books.read(ledger)["EARN"] == Line(entries=3, points=9)
