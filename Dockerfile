# Serves a bundle; the learning side is not in it.
#   docker run -p 127.0.0.1:50051:50051 -v ./bundle:/bundle:ro -v galleries:/data mien
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
COPY training training
RUN python -m venv /opt/mien
RUN /opt/mien/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim
COPY --from=build /opt/mien /opt/mien
RUN useradd --system --uid 10001 mien && install --directory --owner mien /data
USER mien
VOLUME ["/bundle", "/data"]
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["/opt/mien/bin/mien", "health"]
ENTRYPOINT ["/opt/mien/bin/mien"]
# A container's loopback is reached by nobody; who reaches the port is decided where it is published.
CMD ["serve", "/bundle", "--data", "/data", "--address", "0.0.0.0:50051", "--insecure"]
