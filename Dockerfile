# One image for the service, its worker and its migrations: `serve`, `worker` and `migrate` are commands of
# the same program. Any base with Python >= 3.11 as python3, pip and venv will do (--build-arg BASE=...).
ARG BASE=python:3.12-slim-bookworm

# The dependencies' names in a file of their own: no other change to pyproject.toml installs them again.
FROM ${BASE} AS requirements
WORKDIR /src
COPY pyproject.toml ./
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt

FROM ${BASE} AS builder
WORKDIR /src
# The environment gets no pip of its own; the base's pip installs into it from outside.
RUN ["python3", "-m", "venv", "--without-pip", "/opt/venv"]
COPY .ci/constraints.txt ./
COPY --from=requirements /src/requirements.txt ./
# Wheels only, so that no compiler is needed.
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        -c constraints.txt -r requirements.txt \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
# Our own code beside them, so that a release which changes only code is one small layer.
COPY pyproject.toml README.md ./
COPY migrations/ migrations/
COPY service/ service/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps --prefix /opt/service . \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/service/lib

FROM ${BASE}
# The official Python images ship their standard library without bytecode, and nothing can be written later.
RUN ["python3", "-c", "import compileall, re, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, rx=re.compile('/(dist|site)-packages/'))"]
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/service /opt/venv
# HOME: the user has no entry in /etc/passwd and no directory; /tmp is the one writable place.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    GIT_PYTHON_REFRESH=quiet
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["model-registry"]
CMD ["serve", "--bind", "0.0.0.0:8000", "--workers", "2"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="model-registry" \
      org.opencontainers.image.description="The model registry between environments" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
