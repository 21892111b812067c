# Built in one stage and copied to the other: the image holds an environment, no tools to build one.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m pip wheel --quiet --require-hashes --requirement requirements/run.txt --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY stenograph stenograph
# Only what was checked above is used: there is no index from here on.
RUN python -m pip wheel --quiet --no-index --find-links /wheels --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/stenograph \
    && python -m pip --python /opt/stenograph/bin/python install --quiet --no-index --find-links /wheels "stenograph[workflows]"

FROM python:3.13-slim-trixie
RUN groupadd --gid 10001 steno \
    && useradd --uid 10001 --gid steno --no-create-home --home-dir /data --shell /usr/sbin/nologin steno \
    && install --directory --owner steno --group steno --mode 0700 /data
COPY --from=build /opt/stenograph /opt/stenograph
ENV PATH=/opt/stenograph/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without a proxy, whatever the environment names: it is this container that is asked.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener as b; b(ProxyHandler({})).open('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["steno"]
# Its port is open to nobody until it is published; compose.yaml publishes it to this machine alone.
CMD ["serve", "--host", "0.0.0.0", "--without-tokens", "--db", "/data/steno.db"]
