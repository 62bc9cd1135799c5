"""What several tests of analyses read."""

from pathlib import Path

import pytest


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """房间 in two groups of three sentences; the groups begin with words of their own."""
    rows = [
        f"房间\t{group}\t{begin}的房间{end}"
        for group, begin in (("一", "早餐"), ("二", "手机"))
        for end in ("很好。", "很差。", "又快又好，下次还来。")
    ]
    path = tmp_path / "rooms.tsv"
    path.write_text("word\tgroup\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path
