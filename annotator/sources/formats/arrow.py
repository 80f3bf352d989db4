"""Arrow: the files of ``datasets.save_to_disk`` (streams), and Arrow's own file form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annotator.errors import SourceError, one_line
from annotator.sources.formats import table
from annotator.sources.formats.files import EmptyFileError, Record, SourceFile, opened

_MAGIC = b"ARROW1"  # of the file form; a stream has none


def read(file: SourceFile, fields: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the rows of a file; memory holds one batch.

    Raises:
        SourceError: the file cannot be read, is not Arrow, or a needed column occurs twice.
    """
    import pyarrow as pa

    with opened(file) as stream:
        if not stream.peek(1):
            raise EmptyFileError(f"{file.path} is empty; get it again, or leave it out")
        try:
            if stream.peek(len(_MAGIC)).startswith(_MAGIC):
                reader = pa.ipc.open_file(stream)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                reader = batches = pa.ipc.open_stream(stream)
            table.refuse_repeated(file, reader.schema.names, fields)
            wanted = [name for name in reader.schema.names if name in fields] if fields else reader.schema.names
            before = 0
            for batch in batches:
                yield from table.records(batch.select(wanted), file.name, before)
                before += len(batch)
        except pa.ArrowException as error:
            raise SourceError(f"{file.path} is not a whole Arrow file: {one_line(error)}; get it again") from error
