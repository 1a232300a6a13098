FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/placet \
    && /opt/placet/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[apprise,otel]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin placet \
    && install --directory --owner=placet --mode=0700 /var/lib/placet
COPY --from=build /opt/placet /opt/placet
ENV PATH=/opt/placet/bin:$PATH \
    PLACET_DATA=/var/lib/placet \
    PYTHONUNBUFFERED=1
USER placet
WORKDIR /var/lib/placet
VOLUME /var/lib/placet
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["placet-server"]
CMD ["up", "--host", "0.0.0.0"]
