# The program alone, without a shell, as a user that is not root.
#   docker build -t bulkhead --build-arg RELEASE=1.2.3 .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG RELEASE=container
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${RELEASE}" -o /out/bulkhead ./cmd/bulkhead

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/bulkhead /usr/local/bin/bulkhead
USER 65532:65532
ENV BULKHEAD_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["bulkhead", "health"]
ENTRYPOINT ["bulkhead"]
CMD ["serve"]
