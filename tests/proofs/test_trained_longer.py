"""Chapter 21 says that its network beats the table of triples if it is trained three times as long."""

from __future__ import annotations

from literate.chapter import BOOK
from literate.prove.session import Session

EPOCHS = "epochs=8, validation", "epochs=24, validation"
SCHEDULE = "CosineAnnealingLR(optimizer, 8)", "CosineAnnealingLR(optimizer, 24)"


def test_three_times_as_long() -> None:
    with Session.of(BOOK / "21-attention.md") as session:
        cells = session.chapter.cells
        (training,) = (i for i, cell in enumerate(cells) if EPOCHS[0] in cell.source)
        assert SCHEDULE[0] in cells[training].source
        session.run_to(training)
        names = session.namespace
        exec(cells[training].source.replace(*EPOCHS).replace(*SCHEDULE), names)
        assert len(names["history"]) == 24
        assert names["history"][-1]["validation_loss"] < names["trigram"].mean() - 0.1
