"""Text that was decoded with the wrong encoding is recognised, and repaired if the original is certain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.records import Document, Rejected
from annotator.sources.sample_report import SampleReport
from annotator.sources.sampling import sample
from annotator.sources.screening import Screening
from normalizers.encodings import has_syllables, is_damaged, repair
from normalizers.text import nfc

NEWS = (
    "Sáng nay Hà Nội có mưa to, nhiều tuyến phố ngập sâu; người dân phải đi lại khó khăn suốt mấy giờ liền. "
    "Đài khí tượng cảnh báo gió giật mạnh ở vùng ven biển và khuyên ngư dân trở về bờ."
)


def _sloppy(text: str, times: int = 1) -> str:
    """Decode UTF-8 as cp1252, as browsers do: the five undefined bytes stay as they are."""
    for _ in range(times):
        text = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())
    return text


DAMAGED = {
    "latin-1": NEWS.encode().decode("latin-1"),
    "cp1252": _sloppy(NEWS),
    "twice": _sloppy(NEWS, 2),
}
LOST = {
    "question marks": NEWS.encode("cp1252", "replace").decode("cp1252"),
    "replacement characters": NEWS.encode("latin-1", "replace").decode("utf-8", "replace"),
    "spaces for no-break spaces": DAMAGED["latin-1"].replace("\xa0", " "),
    "partly sound": DAMAGED["cp1252"] + " " + NEWS,
    "Mac Roman": NEWS.encode().decode("mac_roman"),
    "cp1258": NEWS.encode().decode("cp1258", "replace"),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_wrongly_decoded_utf8_is_repaired(text: str) -> None:
    """UTF-8 read as Latin-1 or cp1252, once or twice, is repaired exactly."""
    assert is_damaged(text)
    assert repair(text) == NEWS


@pytest.mark.parametrize("text", LOST.values(), ids=LOST)
def test_uncertain_damage_is_not_repaired(text: str) -> None:
    """Damage that cannot be undone with certainty is recognised and not repaired."""
    assert is_damaged(text) or not has_syllables(text)
    assert repair(text) is None


@pytest.mark.parametrize(
    "text",
    [
        NEWS,
        NEWS.upper(),
        "Bạn có biết? Quán cà phê Café Münster đón đoàn khách Đức; giá “mềm” (từ 2,5 triệu)…",
        "Hoà bình, thuỷ điện, quý vị, tuổi trẻ, khuỷu tay, nghiêng ngả, TP.HCM",
        "Xem tại https://vi.du/trang?id=5&x=?y và viết về ĐBSCL",
    ],
)
def test_sound_text_is_left_alone(text: str) -> None:
    """Vietnamese with foreign names, quotation marks and addresses is not damaged."""
    assert not is_damaged(text)
    assert has_syllables(text)


@given(st.text(st.sampled_from("aáạăằâấđĐeẹêếệiìoỏôốộơờuụưừy ntghc.,“”…–"), min_size=20).map(nfc))
def test_repair_never_gives_another_text(text: str) -> None:
    """A repair gives the original or None, for any text."""
    assert repair(_sloppy(text)) in {text, None}


def _source(folder: Path, *texts: str) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_damaged_documents_are_left_out(tmp_path: Path) -> None:
    """Damaged documents are rejected as such; a certain repair is named in the detail."""
    rows = list(sample(_source(tmp_path, DAMAGED["latin-1"], *LOST.values(), NEWS), 20, 0))
    rejected = [row for row in rows if isinstance(row, Rejected)]
    assert {row.reason for row in rejected} == {"damaged encoding"}
    assert len(rejected) == 1 + len(LOST)
    assert sum("--repair-encoding makes it: Sáng nay Hà Nội" in row.detail for row in rejected) == 1
    assert [row.text for row in rows if isinstance(row, Document)] == [NEWS]


def test_repaired_documents_are_kept_and_counted(tmp_path: Path) -> None:
    """With --repair-encoding, a certain repair is kept and counted; other damage is rejected."""
    report = SampleReport()
    settings = Screening(repairs_encoding=True)
    rows = list(sample(_source(tmp_path, DAMAGED["cp1252"], LOST["question marks"]), 9, 0, None, settings, report))
    (document,) = [row for row in rows if isinstance(row, Document)]
    (sound,) = [row for row in sample(_source(tmp_path, NEWS), 9, 0) if isinstance(row, Document)]
    assert document == sound
    assert (report.encodings_repaired, report.screened["damaged encoding"]) == (1, 1)
