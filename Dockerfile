# One image for replicas, the console and commands: docker build -t sereno .
#   docker run --read-only --tmpfs /tmp -e SERENO_DATABASE_URL=postgresql://... sereno
#   docker run ... sereno check | migrate | apps
# PLUGINS: those of this repository that are in it; PACKAGES: your own, as pip names them.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG PLUGINS="cleanup console etl_ivr notify reports sun"
ARG PACKAGES=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY . .
RUN python -m venv /opt/sereno \
    && set -- "/src[apps,otel]" \
    && for plugin in $PLUGINS; do set -- "$@" "/src/plugins/$plugin"; done \
    && /opt/sereno/bin/pip install --constraint constraints.txt "$@" $PACKAGES \
    && /opt/sereno/bin/python -m compileall -q /opt/sereno

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="Sereno" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/sereno /opt/sereno
# Nothing is written but to /tmp: --read-only --tmpfs /tmp. Files of jobs want a volume of theirs.
ENV PATH=/opt/sereno/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    SERENO_HTTP__HOST=0.0.0.0 \
    SERENO_APPS__HOST=0.0.0.0 \
    SERENO_LOG__FORMAT=json
USER 10001:10001
WORKDIR /tmp
EXPOSE 8765 8766
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/health/liveness', timeout=2)"]
ENTRYPOINT ["sereno"]
CMD ["run"]
