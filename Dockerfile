# The server: docker build -t tunesmith . ; docs/how-to/run-a-server.md says how it is run.
FROM python:3.13-slim-bookworm AS build
COPY pyproject.toml README.md LICENSE constraints.txt /source/
COPY src /source/src
RUN python -m venv /opt/tunesmith \
 && /opt/tunesmith/bin/pip install --no-cache-dir --constraint /source/constraints.txt "/source[server]"

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --create-home tunesmith
COPY --from=build /opt/tunesmith /opt/tunesmith
ENV PATH=/opt/tunesmith/bin:$PATH \
    PYTHONUNBUFFERED=1
USER tunesmith
WORKDIR /data
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8765/readyz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tunesmith"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8765", "--data", "/data/server", "--log-format", "json"]
