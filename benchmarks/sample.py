"""Time and bytes to draw some of two million documents, compared with `datasets`' streaming shuffle and a pyarrow scan.

    python benchmarks/sample.py --corpus /tmp/corpus --docs 6600
    python benchmarks/sample.py --corpus /tmp/corpus-1000 --group 1000 --docs 788

The first call makes a Parquet corpus: four files, two million rows of text like Vietnamese, zstd, row groups of 10,000
rows or ``--group``. 788 of two million is the same share as 6,600 of the BKAI corpus. Each way runs in its own process.
Local bytes are those that the process read (`/proc/self/io`, with imports; ours: of the files); over HTTP they are
those that a server on loopback sent. `rows drawn from` is the first and the last row drawn: a uniform draw spans the
corpus.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FILES, ROWS, MADE = 4, 500_000, 10_000
ONSETS = ["b", "c", "ch", "đ", "g", "h", "kh", "l", "m", "n", "ng", "nh", "ph", "qu", "t", "th", "tr", "v", "x"]
RHYMES = ["a", "á", "ạ", "ăn", "ấp", "e", "ế", "ền", "i", "ình", "o", "ổ", "ơi", "ưởng", "u", "ưới", "ương", "y"]


def make(folder: Path, group_rows: int) -> None:
    """Write the corpus: numbered rows of eight sentences out of 200,000."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    rng, words = random.Random(0), [onset + rhyme for onset in ONSETS for rhyme in RHYMES]
    made = pa.array([" ".join(rng.choices(words, k=rng.randint(8, 24))).capitalize() for _ in range(200_000)])
    draw = np.random.default_rng(0)
    for file in range(FILES):
        with pq.ParquetWriter(
            folder / f"train-{file:05d}-of-{FILES:05d}.parquet", _SCHEMA(), compression="zstd"
        ) as out:
            for part in range(ROWS // MADE):
                ids = np.arange(MADE) + file * ROWS + part * MADE
                parts = [made.take(pa.array(draw.integers(0, len(made), MADE))) for _ in range(8)]
                text = pc.binary_join_element_wise(*parts, pa.array(ids.astype(str)), ". ")
                link = pc.binary_join_element_wise("https://news.example/article", pa.array(ids.astype(str)), "/")
                out.write_table(pa.table([pa.array(ids), link, text], schema=_SCHEMA()), row_group_size=group_rows)


def _SCHEMA() -> Any:  # noqa: N802 - a constant that needs an import
    import pyarrow as pa

    return pa.schema([("id", pa.int64()), ("link", pa.string()), ("text", pa.string())])


def ours(source: str, docs: int, *, screens: bool) -> dict[str, Any]:
    """Draw by row numbers, without screens."""
    from annotator.records import Document
    from annotator.sources.sample_report import SampleReport
    from annotator.sources.sampling import sample
    from annotator.sources.screening import Screening

    report = SampleReport()
    settings = Screening() if screens else Screening(near_duplicates=0, shortest=0, cuts=False)
    ids = [int(row.id) for row in sample(source, docs, 0, None, settings, report) if isinstance(row, Document)]
    return {"ids": ids, "bytes": report.bytes_read, "groups": f"{report.row_groups_read}/{report.row_groups_total}"}


def streamed(source: str, docs: int) -> dict[str, Any]:
    """Draw with ``datasets``: the first rows of shuffled shards with a buffer of 10,000 rows."""
    import datasets

    names = [f"train-{file:05d}-of-{FILES:05d}.parquet" for file in range(FILES)]
    files = [source.rstrip("/") + "/" + name for name in names]
    rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    return {"ids": [row["id"] for row in rows.shuffle(seed=0, buffer_size=10_000).take(docs)]}


def scanned(source: str, docs: int) -> dict[str, Any]:
    """Read every row of the two columns with pyarrow and keep the drawn ones."""
    import pyarrow.dataset as ds

    wanted = sorted(random.Random(0).sample(range(FILES * ROWS), docs))
    ids: list[int] = []
    first = 0
    for batch in ds.dataset(source, format="parquet").to_batches(columns=["id", "text"]):
        while len(ids) < docs and wanted[len(ids)] < first + len(batch):
            ids.append(batch.column("id")[wanted[len(ids)] - first].as_py())
        first += len(batch)
    return {"ids": ids}


WAYS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "vner-annotate, the draw alone": lambda source, docs: ours(source, docs, screens=False),
    "vner-annotate, with all screens": lambda source, docs: ours(source, docs, screens=True),
    "datasets, streaming shuffle and take": streamed,
    "pyarrow, full scan": scanned,
}


def measure(way: str, source: str, docs: int) -> None:
    """Run one way in this process, and print its figures."""
    before, began = _bytes_read(), time.perf_counter()
    found = WAYS[way](source, docs)
    ids = found.pop("ids")
    took = time.perf_counter() - began
    reach = f"{min(ids):,} to {max(ids):,}"
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    read = found.pop("bytes", None) or _bytes_read() - before
    print(json.dumps({"seconds": round(took, 2), "mb_read": round(read / 1e6, 1), "peak_rss_mb": round(rss, 1),
                      "documents": len(ids), "rows drawn from": reach, **found}))  # fmt: skip


def _bytes_read() -> int:
    found = re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text(encoding="ascii"))
    return int(found[1]) if found else 0


class Server(BaseHTTPRequestHandler):
    """Serves byte ranges of the corpus, and counts them."""

    protocol_version = "HTTP/1.1"
    root: Path
    sent = 0
    requests = 0

    def answer(self) -> None:
        """Send a range of a file, a whole file, or the list of files."""
        path = self.root / self.path.strip("/")
        Server.requests += 1
        if path.is_dir():
            self._send(200, "".join(f'<a href="{item.name}"></a>' for item in path.iterdir()).encode(), "text/html")
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(end - start + 1) if self.command == "GET" else b""
        self._send(206 if asked else 200, content, "application/octet-stream", end - start + 1, f"{start}-{end}/{size}")

    do_GET = do_HEAD = answer  # noqa: N815 - names of the standard library

    def _send(self, status: int, content: bytes, kind: str, length: int | None = None, place: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if status == 206:
            self.send_header("Content-Range", f"bytes {place}")
        self.end_headers()
        self.wfile.write(content)
        Server.sent += len(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Log nothing: the requests are counted."""


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a reader closes the connection when it has enough rows


def main() -> None:
    """Make the corpus if needed, measure every way, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--docs", type=int, default=6600)
    parser.add_argument("--group", type=int, default=10_000, help="rows of a row group, when the corpus is made")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args.way, args.source, args.docs)
        return
    if not args.corpus.exists():
        make(args.corpus, args.group)
    Server.root = args.corpus
    server = _Quiet(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web = f"http://127.0.0.1:{server.server_address[1]}/"
    total = sum(file.stat().st_size for file in args.corpus.iterdir())
    report: dict[str, Any] = {"corpus": {"rows": FILES * ROWS, "mb": total // 10**6}}
    for place, source in (("on the disk", str(args.corpus)), ("over HTTP", web)):
        for way in WAYS:
            if source == web and way == "pyarrow, full scan":
                continue  # the whole corpus
            Server.sent = Server.requests = 0
            command = [sys.executable, __file__, "--corpus", str(args.corpus), "--docs", str(args.docs)]
            command += ["--way", way, "--source", source]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own command
            figures = json.loads(done.stdout)
            if source == web:
                figures |= {"mb_read": round(Server.sent / 1e6, 1), "requests": Server.requests}
            report[f"{way}, {place}"] = figures
            print(f"{way}, {place}: {figures}", file=sys.stderr)
    print(json.dumps(report, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
