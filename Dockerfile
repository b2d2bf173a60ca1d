# docker build -t readiness .                    more extras: --build-arg EXTRAS=fast,dask
# docker run --rm --user "$(id -u)" -v "$PWD:/work" readiness audit https://api.example.com -o report.html
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY readiness readiness
COPY checks checks
COPY templates templates
ARG EXTRAS=fast
RUN python -m venv /opt/readiness && /opt/readiness/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="readiness" \
      org.opencontainers.image.description="Audits a live deployment, read-only, and scores whether it is ready for production" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/readiness /opt/readiness
# A number, so that Kubernetes can see that it is not root; nothing of the image belongs to it.
RUN groupadd --gid 10001 readiness && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin readiness
ENV PATH="/opt/readiness/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# Reports and readiness.yaml: a folder of yours, mounted here.
WORKDIR /work
ENTRYPOINT ["readiness"]
CMD ["--help"]
