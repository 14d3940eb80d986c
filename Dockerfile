# ccr as a container: docs/docker.md. Build: docker build -t ccr .
# The base is an argument, so that a mirror or a hardened image can stand in for it; it needs python3 >= 3.11 with venv.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
COPY requirements/run.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/ccr && python3 -m venv /opt/build \
 && /opt/ccr/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt \
 && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/ccr/bin/python -m pip install --no-cache-dir --no-deps dist/*.whl

FROM ${BASE}
RUN useradd --create-home --uid 1000 ccr \
 && mkdir -m 700 /home/ccr/.claude-code-router && chown ccr:ccr /home/ccr/.claude-code-router
COPY --from=build /opt/ccr /opt/ccr
ENV PATH=/opt/ccr/bin:$PATH
USER ccr
WORKDIR /home/ccr
# config.json, the key, logs and what was counted: mount a folder of uid 1000 here to keep them
VOLUME /home/ccr/.claude-code-router
EXPOSE 3456
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["ccr", "status"]
CMD ["ccr", "start", "--foreground"]
