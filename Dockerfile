# The command line in an image, without the extras; docs/install.md says how to run it.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE cli.py ./
COPY annotator annotator
COPY data_cards data_cards
COPY normalizers normalizers
COPY prompts prompts
COPY training training
RUN python -m venv /opt/vner \
    && /opt/vner/bin/python -m pip install --no-cache-dir -c constraints.txt .

FROM python:3.13-slim
COPY --from=build /opt/vner /opt/vner
RUN useradd --uid 1000 vner \
    && mkdir /data \
    && chown vner:vner /data
# A home that any --user can write to.
ENV PATH=/opt/vner/bin:$PATH HOME=/tmp
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["vner-annotate"]
CMD ["build", "sample"]
